#!/bin/sh
# The bit-switched transformers, most important first; an hour and a half on one busy core. Needs weights/vit-fashion.safetensors.
# The malloc settings keep PyTorch from giving every activation back to the kernel: a fifth faster.
set -e
cd "$(dirname "$0")"
python=${PYTHON:-python3}
export OMP_NUM_THREADS=1 MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=8000000000 MALLOC_TOP_PAD_=500000000
train="$python train_bits.py --steps 900"
$train --name joint
$train --name joint-no-alrs --alrs off
for width in 8 4 2; do
    $train --name separate-$width --rule own --width $width
done
$train --name floor --rule floor
$train --name midrise --rule midrise
$train --name separate-6 --rule own --width 6
$python train_bits.py --steps 300 --name hasb --start-from joint --hasb --rate 2e-4

#!/bin/sh
# Everything of this folder from nothing: photos, sets, training, weights, figures, vectors, example pictures.
# PYTHON names an interpreter with torch, numpy, scipy and Pillow.
set -e
cd "$(dirname "$0")"
python=${PYTHON:-python3}
export OMP_NUM_THREADS=1
$python fetch_data.py
$python synth.py test val permissive permissive-2 permissive-3 motion motion-rich
$python train_mask.py --frames 2 --name mask_previous --steps 2500 &
$python train_mask.py --frames 1 --name mask --steps 6000
wait
$python train_restorer.py --name restorer_first --loss charbonnier --steps 11000 --stop 6000
$python train_restorer.py --name restorer_second --start-from restorer_first --steps 3500 --rate 2e-3
$python train_restorer.py --name restorer_third --start-from restorer_second --steps 4500 --rate 3e-3 --seed 2
$python train_restorer.py --name fine_b --start-from restorer_third --loss charbonnier-wide --steps 2200 --stop 1500
sets=permissive,permissive-2,permissive-3
$python train_restorer.py --set $sets --name restorer_long --start-from fine_b --loss charbonnier-wide --steps 30000 \
    --stop 14000 --seed 7
$python train_restorer.py --set $sets --name restorer_large_crops --start-from restorer_long --loss charbonnier-wide \
    --batch 4 --crop 128 --steps 7000 --rate 2.5e-3 --seed 8
$python train_predictors.py --name predictors --start-from restorer_first --steps 2000
$python export.py cells lmdvit-t16 --restorer restorer_large_crops --mask mask --mask-previous mask_previous
$python export.py predictors lmdvit-t16-predictors --restorer predictors
both=motion,motion-rich
$python train_motion.py --name motion_first --steps 2200
$python train_motion.py --set $both --name motion_second --start-from motion_first --steps 3000 --rate 2.5e-3 --seed 2
$python train_motion.py --set $both --name motion_third --start-from motion_second --steps 4000 --rate 2e-3 --seed 4
$python train_motion.py --set $both --name motion_fourth --start-from motion_third --steps 3000 --rate 2e-3 --seed 5
$python export.py motion lmdvit-t16-motion --restorer motion_fourth --mask-of lmdvit-t16
$python evaluate.py
$python golden.py
$python demo_photos.py
$python train_vit.py --epochs 16
$python golden_vit.py
PYTHON=$python ./bits_all.sh

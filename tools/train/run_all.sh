#!/bin/sh
# Everything of this folder from nothing: photos, sets, training, weights, figures, vectors, example pictures.
# PYTHON names an interpreter with torch, numpy, scipy and Pillow.
set -e
cd "$(dirname "$0")"
python=${PYTHON:-python3}
export OMP_NUM_THREADS=1
$python fetch_data.py
$python synth.py test val permissive
$python train_mask.py --frames 2 --name mask_previous --steps 2500 &
$python train_mask.py --frames 1 --name mask --steps 6000
wait
$python train_restorer.py --name restorer_first --loss charbonnier --steps 11000 --stop 6000
$python train_restorer.py --name restorer_second --start-from restorer_first --steps 3500 --rate 2e-3
$python train_restorer.py --name restorer --start-from restorer_second --steps 4500 --rate 3e-3 --seed 2
$python train_predictors.py --name predictors --start-from restorer_first --steps 2000
$python export.py cells lmdvit-t16 --restorer restorer --mask mask --mask-previous mask_previous
$python export.py predictors lmdvit-t16-predictors --restorer predictors
$python evaluate.py
$python golden.py
$python demo_photos.py

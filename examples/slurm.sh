#!/bin/sh
# Train on four machines: sbatch --nodes=4 --ntasks-per-node=1 examples/slurm.sh
# srun starts the inner part on each of them, with SLURM_PROCID from 0.
exec srun sh -c '
hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed "s/.*/\"&:7001\"/" | paste -sd, -)
TF_CONFIG="{\"cluster\": {\"worker\": [$hosts]}, \"task\": {\"type\": \"worker\", \"index\": $SLURM_PROCID}}"
export TF_CONFIG
exec python main_table.py --cluster --data days --checkpoint table.ckpt
'

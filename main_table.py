"""Train an autoencoder on a table of your own: codes, reconstructions, outliers and a report.

python main_table.py --data table.csv --drop label          # train, and score the same rows
python main_table.py --load table.ckpt --score new.csv      # score new rows, without training
"""

from autoencoding.cli import arguments, tables

if __name__ == "__main__":
    with arguments.stopped_by_signals():
        tables.main(description=__doc__)

"""The main job, shown on real input: a site backed up over the API, downloaded, restored and compared.

``python -m backstay.demo`` makes a sample site; ``python -m backstay.demo --site PATH`` takes one of yours, which is
only read.
"""

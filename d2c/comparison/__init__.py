"""Methods compared on equal terms: which, trained how long, measured where, and what their differences are worth.

The programs in ``pipelines`` put this together to the tables and figures of the paper.
"""

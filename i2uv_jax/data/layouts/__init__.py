"""Readers of data sets as their owners lay them out; plain files in, `HandPhoto`s out.

No tensorflow-datasets here: builders and evaluation both read through these modules. Each module's
text says where its facts are from and what could not be checked.
"""

"""`pylx fuzz`: programs of system calls, made from the declarations, run natively and under a layer, and compared.

This package stands outside the personality: it reads the table of calls, and drives processes of the host.
"""

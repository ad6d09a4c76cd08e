import ctypes

libc = ctypes.CDLL(None)
CMP = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
a = (ctypes.c_int * 8)(5, 3, 8, 1, 9, 2, 7, 4)
libc.qsort(a, 8, 4, CMP(lambda x, y: x[0] - y[0]))
print(list(a))
print(libc.strlen(b"four"), ctypes.cast(libc.getenv, ctypes.c_void_p).value is not None)
libc.abs.restype = ctypes.c_int
print(libc.abs(-5))

# hosts: linux
import os

open("f", "w").close()
os.setxattr("f", "user.k", b"v")
print(os.getxattr("f", "user.k"), os.listxattr("f"))
try:
    os.setxattr("f", "user.k", b"w", os.XATTR_CREATE)
except FileExistsError as error:
    print(error)
os.removexattr("f", "user.k")
try:
    os.getxattr("f", "user.k")
except OSError as error:
    print(error)

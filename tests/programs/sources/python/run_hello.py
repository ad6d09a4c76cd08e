import sys

print("hello", sys.version_info[0], sys.argv)

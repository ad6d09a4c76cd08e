. "$SOURCES/make-tree.sh"
find tree -name 'f1*' -size -2 -newer tree/d1 | sort | head
find tree -type l -printf '%p %l\n'
find tree -empty
find tree -perm 640 | wc -l
find /usr/share/doc -maxdepth 1 | wc -l

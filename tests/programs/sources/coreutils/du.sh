. "$SOURCES/make-tree.sh"
du -a tree | sort -k2 | md5sum
du -sh --apparent-size tree

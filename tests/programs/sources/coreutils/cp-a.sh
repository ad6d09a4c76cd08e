. "$SOURCES/make-tree.sh"
find tree -exec touch -h -d @1600000000 {} +
cp -a tree copy
diff -r --no-dereference tree copy && ls -lR --time-style=+%s copy | md5sum

# needs: xz tar gzip
. "$SOURCES/make-tree.sh"
find tree -exec touch -h -d @1600000000 {} +
tar cf t.tar --sort=name --owner=0 --group=0 tree
md5sum < t.tar
gzip -nk t.tar
xz -k -0 t.tar
md5sum < t.tar.xz
mkdir a b
tar xzf t.tar.gz -C a
tar xJf t.tar.xz -C b
diff -r --no-dereference a b && diff --no-dereference -r a/tree tree && echo same
tar tvf t.tar | wc -l
tar czf - tree | tar tzf - | sort | md5sum
rm t.tar*

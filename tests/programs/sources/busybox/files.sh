mkdir -p a/b
echo x > a/b/c
ln -s b a/l
cp -r a z
mv z/b z/moved
rm -r a
find . | sort
cat z/moved/c

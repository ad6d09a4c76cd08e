# needs: make
printf 'all: a b c\n\techo all > $@\n%%: %%.in\n\tsleep 0.05; tr a-z A-Z < $< > $@\n' > Makefile
for f in a b c; do echo $f$f > $f.in; done
make -j3 -s
cat a b c
make -q
echo $?
touch -d 2001-01-01 a
make -n
make nosuch
echo $?

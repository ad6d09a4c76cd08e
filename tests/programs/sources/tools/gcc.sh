# needs: gcc ar nm
cp "$SOURCES/compiled/sqrt.c" prog.c
gcc -O2 -Wall -o prog prog.c -lm && ./prog 2 3 4
echo $?
gcc -c -o x.o prog.c && ar rcD lib.a x.o && nm lib.a | grep main
echo 'int main( {' > bad.c
gcc -o no bad.c
echo $?

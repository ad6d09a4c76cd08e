# A C project of 100 files, two jobs at a time; then one file changes.
mkdir src
{
    printf '#include <stdio.h>\n#include <string.h>\n'
    for i in $(seq 0 99); do echo "int f$i(int);"; done
} > src/all.h
for i in $(seq 0 99); do
    next=$((i ? i - 1 : 0))
    cat > src/f$i.c <<C
#include "all.h"
int f$i(int x)
{
    char text[32];
    snprintf(text, sizeof text, "%d", x);
    return (int)strlen(text) + $i + (x > 1 ? f$next(x / 2) : 0);
}
C
done
printf '#include "all.h"\nint main(void) { printf("%%d\\n", f99(123456)); return 0; }\n' > src/main.c
cat > Makefile <<'M'
OBJECTS := $(patsubst src/%.c,obj/%.o,$(sort $(wildcard src/*.c)))
program: $(OBJECTS)
	$(CC) -o $@ $^
obj/%.o: src/%.c src/all.h | obj
	$(CC) -O1 -Wall -c -o $@ $<
obj:
	mkdir -p $@
M
make -j2 > log || cat log
sort log
./program
touch src/f50.c
make -j2
make -q
echo "up to date: $?"
sha256sum program
rm log

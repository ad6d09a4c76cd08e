# Breakpoints, steps, variables, signals, catchpoints, a crash; a fork followed into an exec; an attach.
# SCRIPTS: where the command files are; PROGRAM: the debuggee.
export DEBUGINFOD_URLS=
gdb -q -batch -nx -x "$SCRIPTS/session.gdb" "$PROGRAM" 2>&1
echo "gdb ended with $?"
gdb -q -batch -nx -x "$SCRIPTS/follow.gdb" "$PROGRAM" 2>&1
echo "gdb ended with $?"
mkfifo ready
"$PROGRAM" wait > ready &
read -r line < ready
rm ready
echo "$line"
gdb -q -batch -nx -p $! -ex 'frame function main' -ex 'print p' -ex 'print argv[1]' -ex detach 2>&1 | grep -A100 '^#'
kill $!
wait $!
echo "debuggee ended with $?"

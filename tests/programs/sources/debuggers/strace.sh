# Each process's calls in a file of its own, one file for all, a summary, injected errors, an attach.
strace -ff -s 100 -o one "$PROGRAM"
echo "strace ended with $?"
for file in $(ls one.* | sort -t . -k 2n); do
    echo "--- process"
    cat "$file"
done
strace -f -o all "$PROGRAM"
grep -o '+++.*' all | sort
grep -c 'write(1, "total' all
strace -f -e trace=process,signal -e signal=SIGUSR1,SIGCHLD sh -c 'true; kill -USR1 $$' 2>&1 | grep -E '^(---|\+\+\+)'
strace -f -c -o summary sh -c 'true | cat'
awk 'NR > 2 && $NF != "total" { print $NF }' summary | grep -E '^(execve|read|pipe2|wait4|clone|exit_group)$' | sort
strace -e inject=openat:error=ENOSPC:when=1+ -e trace=openat cat /etc/passwd 2>&1 | tail -n 4
strace -e inject=getppid:retval=77 -e trace=getppid sh -c 'echo $PPID' 2>&1
strace -e inject=write:signal=USR2 sh -c 'trap "exit 9" USR2; echo x; echo y' > /dev/null 2>&1
echo "strace ended with $?"
strace -k -e trace=exit_group -e signal=none "$PROGRAM" 2>&1 | sed -n 's/.*(\(main\|exit\|__libc_start_main\)+.*/\1/p'
"$PROGRAM" wait > ready &
until grep -qs waiting ready; do sleep 0.05; done
strace -p $! -o attached 2> messages &
until grep -qs attached messages; do sleep 0.05; done
sleep 0.2
kill $(pgrep -f -x "$PROGRAM wait")
wait
cat attached
rm one.* all summary attached messages ready

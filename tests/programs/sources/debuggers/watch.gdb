set pagination off
set confirm off
set width 0
set debug-file-directory /nonexistent
set startup-with-shell off
set print thread-events off
handle SIGUSR1 nostop noprint pass
break main
run
watch total
continue
continue
print total
delete
hbreak factorial if n == 4
continue
bt
delete
watch total
continue
continue
info watchpoints
delete
thread 1
tbreak handler
continue
frame function main
awatch p.x
rwatch status
continue
continue
delete
continue

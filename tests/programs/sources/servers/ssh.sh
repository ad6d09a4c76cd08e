# sshd with privilege separation: commands, data, a terminal, scp, and many sessions side by side.  PORT: a free one.
mkdir server
chmod 700 server
ssh-keygen -q -t ed25519 -N '' -f server/host
ssh-keygen -q -t ed25519 -N '' -f server/user
cat > server/conf <<C
Port $PORT
ListenAddress 127.0.0.1
HostKey $PWD/server/host
PidFile $PWD/server/pid
AuthorizedKeysFile $PWD/server/user.pub
StrictModes no
UsePAM no
PermitRootLogin yes
Subsystem sftp internal-sftp
C
[ "$(id -u)" != 0 ] || mkdir -p /run/sshd
/usr/sbin/sshd -D -e -f server/conf 2> server/log &
server=$!
options="-i server/user -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
run() { ssh $options -p "$PORT" "$(id -un)@127.0.0.1" "$@"; }
until run true 2> /dev/null; do
    kill -0 $server || { cat server/log; exit 1; }
    sleep 0.1
done
run 'echo hello; exit 3' < /dev/null
echo "status $?"
seq 50000 | run md5sum
run -tt 'tty | tr -d 0-9; stty size' < /dev/null | tr -d '\r'
scp -q $options -P "$PORT" "$(id -un)@127.0.0.1:/etc/services" server/copy && cmp server/copy /etc/services && echo copied
for i in 1 2 3 4; do run "echo session $i" < /dev/null & sessions="$sessions $!"; done
wait $sessions
kill $server
wait $server
echo "server ended with $?"
rm -r server

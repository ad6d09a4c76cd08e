# needs: ssh-agent ssh-add ssh-keygen
ssh-agent -a ./agent > env
. ./env > /dev/null
ssh-keygen -q -t ed25519 -N '' -f key -C comment
ssh-add -q key 2>&1
ssh-add -l | sed 's/SHA256:[^ ]*/<hash>/'
ssh-agent -k > /dev/null
ssh-add -l 2> /dev/null
echo "no agent $?"
rm env key key.pub

touch a1 a2 b1 .h
echo *
shopt -s dotglob extglob
echo *
echo !(a*)

# A tree of $FILES small files, 17 by 5 directories, with a link and other modes.
i=0
while [ $i -lt $FILES ]; do
    d=tree/d$((i % 17))/e$((i % 5))
    [ -d $d ] || mkdir -p $d
    printf 'file %d\n%s\n' $i "$PWD" > $d/f$i
    i=$((i + 1))
done
ln -s d1 tree/link
chmod 640 tree/d1/e1/*

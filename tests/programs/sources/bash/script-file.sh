printf '#!/bin/sh\necho script "$@"\n' > s
chmod +x s
./s a 'b c'
printf 'echo no shebang $1\n' > t
chmod +x t
./t x
printf '#!/nonexistent/interp\n' > u
chmod +x u
./u
echo $?
printf '#! /usr/bin/env -S bash -e\necho env $BASH_VERSION | cut -c1-4\n' > v
chmod +x v
./v

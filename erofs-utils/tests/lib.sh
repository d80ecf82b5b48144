# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the erofs-utils tests have in common, besides ci/tap.sh.  To be sourced.
#
# $T is a scratch directory that goes away; $FPREAD is the independent reader.
# MKFS, FSCK, DUMP, BUILD and UTILS_BUILD come from the makefile or paths.sh.
set -uo pipefail
export LC_ALL=C

. "$(dirname "${BASH_SOURCE[0]}")/paths.sh"
. "$here/ci/tap.sh"

bail() { echo "Bail out! $*"; exit 1; }

[ -x "$MKFS" ] && [ -x "$FSCK" ] && [ -x "$DUMP" ] || bail "build erofs-utils first: make utils"
mkdir -p "$BUILD/check/utils"

# compile OUT SOURCE [FLAG...]: a helper, once for all tests
compile()
{
	local out=$1 src=$2 each
	shift 2
	(
		flock 9
		for each; do [[ $each != *.a || $out -nt $each ]] || rm -f "$out"; done
		[ "$out" -nt "$src" ] ||
			${CC:-gcc} -O2 -Wall -D_GNU_SOURCE -o "$out" "$src" "$@"
	) 9> "$out.lock" || bail "cannot compile $src"
}
export PYTHONDONTWRITEBYTECODE=1	# in the folders of the sources
FPREAD=$BUILD/check/utils/fpread
compile "$FPREAD" "$here/erofs-utils/tests/fpread.c" -lcrypto
failnth=$BUILD/check/utils/failnth.so	# to be preloaded
compile "$failnth" "$here/erofs-utils/tests/failnth.c" -shared -fPIC -ldl

# compile_with_liberofs OUT SRC [FLAG...]: a program that calls the library of the tools
compile_with_liberofs()
{
	# shellcheck disable=SC2046
	compile "$1" "$2" -I"$UTILS_BUILD/tools" -I"$UTILS_BUILD/tree/include" -I"$UTILS_BUILD/tree/lib" "${@:3}" \
		"$UTILS_BUILD/tools/lib/.libs/liberofs.a" $(sed -n 's/^LIBEROFS_LIBS = //p' "$UTILS_BUILD/tools/lib/Makefile")
}

# with_server SCRIPT "MODE [ARGUMENT...]" COMMAND...: run it with a server that tells lies, at port $port; what the
# server prints, its port first, is in $T/port
with_server()
{
	local pid status=0
	rm -f "$T/port"
	# shellcheck disable=SC2086
	python3 "$here/erofs-utils/tests/$1" $2 > "$T/port" 2> /dev/null &
	pid=$!
	while kill -0 $pid && [ ! -s "$T/port" ]; do sleep 0.1; done
	port=$(< "$T/port")
	shift 2
	"$@" || status=$?
	kill $pid
	return $status
}

# mkimg IMAGE ARGUMENT...: an image that is the same on every run
mkimg()
{
	"$MKFS" -T1700000000 -U12345678-1234-1234-1234-123456789abc --all-time --quiet "$@"
}

# expected DIR: "HEX SIZE PATH" of all regular files as fpread prints names
expected()
{
	python3 - "$1" <<-'END'
	import hashlib, os, stat, sys
	top = os.fsencode(sys.argv[1])
	out = []
	for d, dirs, files in os.walk(top):
	    for f in files:
	        p = os.path.join(d, f)
	        st = os.lstat(p)
	        if not stat.S_ISREG(st.st_mode):
	            continue
	        h = hashlib.sha256()
	        with open(p, "rb") as s:
	            while b := s.read(1 << 20):
	                h.update(b)
	        name = "".join(chr(c) if 33 <= c <= 126 and c != 92 else "\\%03o" % c
	                       for c in p[len(top):])
	        out.append("%s %d %s" % (h.hexdigest() if st.st_size else "-", st.st_size, name))
	print("\n".join(sorted(out)))
	END
}

# fplist IMAGE [--device=FILE...]: the same, out of an image
fplist() { "$FPREAD" "${@:2}" "$1" | sed 1d | awk '{ print $1, $2, $5 }' | sort; }

# has IMAGE REGEX: a line of what the independent reader says matches
has() { "$FPREAD" "$1" > "$T/has" && grep -Eq -- "$2" "$T/has"; }

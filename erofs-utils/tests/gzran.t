#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Indexes of gzip files, as mount.erofs reads them (oci.zinfo=), whatever is in them.
. "$(dirname "$0")/lib.sh"

TREE=${UTILS_TREE:-$UTILS_BUILD/tree} OUT=${UTILS_OUT:-$UTILS_BUILD/tools}
export ASAN_OPTIONS=allocator_may_return_null=1 UBSAN_OPTIONS=halt_on_error=1

${CC:-gcc} -g -O1 -w -fsanitize=address,undefined -I"$OUT" -I"$TREE" -I"$TREE/include" -DHAVE_CONFIG_H \
	-include "$OUT/config.h" -o "$T/gzran" "$here/erofs-utils/tests/gzran.c" -lz || bail "cannot compile gzran.c"

(seq 1 60000; head -c 200000 /dev/urandom | base64; seq 1 200000) > "$T/plain"
gzip -9k "$T/plain"
size=$(stat -c %s "$T/plain")
check "make an index" "$T/gzran" --index "$T/plain.gz" "$T/index"

# lies: one file for each kind of index that is none
python3 - "$T" <<'END'
import struct
import sys

T, C = sys.argv[1], 32785
with open(T + "/index", "rb") as f:
    data = f.read()
have, span = struct.unpack_from("<IQ", data)
points = [data[12 + C * n:12 + C * (n + 1)] for n in range(have)]


def index(name, have, *parts):
    with open(f"{T}/bad-{name}", "wb") as f:
        f.write(struct.pack("<IQ", have, span) + b"".join(parts))


def point(n, **change):
    old = dict(zip(("pos", "out", "bits"), struct.unpack_from("<QQB", points[n])))
    return struct.pack("<QQB", *{**old, **change}.values()) + points[n][17:]


index("empty", 0)
index("first", 1, point(0, out=1 << 20))
index("descending", 3, points[0], point(1, out=1 << 30), points[2])
index("backwards", 3, points[0], point(1, pos=5), point(2, pos=1))
index("before-begin", 1, point(0, pos=0, bits=5))
index("huge-offset", 1, point(0, pos=(1 << 64) - 1, bits=3))
index("behind-end", 1, point(0, pos=1 << 40, bits=3))
have = 131005       # which is 31,641 bytes, in 32 bits
index("wrapped", have, bytes((C * have + 12) % (1 << 32) - 12))
with open(T + "/bad-short", "wb") as f:
    f.write(b"\1\0\0")
END

# part OFFSET COUNT [NAME]: so many bytes are read of 5000 that are asked for, and the right ones
part()
{
	"$T/gzran" "$T/${3:-plain}.gz" "$T/index${3:+-$3}" "$1" 5000 > "$T/got" &&
		[ "$(stat -c %s "$T/got")" = "$2" ] && cmp -n "$2" -i "$1:0" "$T/plain" "$T/got"
}
for offset in 0 1 65535 300000 1234567 $((size - 5000)); do
	check "read at $offset, and leak nothing" part "$offset" 5000
done
check "read to the end" part $((size - 100)) 100
check "nothing at the end" part "$size" 0
check "nothing behind the end" part $((size + 100000)) 0

# many members, as eStargz has them; and many that are empty
python3 - "$T" <<'END'
import gzip
import sys

T, sizes, at = sys.argv[1], (1, 100, 5000, 512, 70000, 1, 1, 40000), 0
with open(T + "/plain", "rb") as f:
    data = f.read()
with open(T + "/members.gz", "wb") as f:
    while at < len(data):
        size = sizes[at % len(sizes)]
        f.write(gzip.compress(data[at:at + size], mtime=0))
        at += size
with open(T + "/bomb.gz", "wb") as f:
    f.write(gzip.compress(b"", mtime=0) * 40000 + gzip.compress(data, mtime=0))
END
for gz in members bomb; do
	check "$gz: make an index" "$T/gzran" --index "$T/$gz.gz" "$T/index-$gz"
	check "$gz: it is not larger than needed" test "$(stat -c %s "$T/index-$gz")" -lt $((size + 100000))
	for offset in 0 1 100 99999 300000 $((size - 5000)); do
		check "$gz: read at $offset" part "$offset" 5000 $gz
	done
	check "$gz: read to the end" part $((size - 100)) 100 $gz
	check "$gz: nothing at the end" part "$size" 0 $gz
done

# refused FILE: an error number, and not a crash
refused()
{
	local rc=0

	timeout 60 "$T/gzran" "$T/plain.gz" "$1" 100000 5000 > /dev/null 2> "$T/said" || rc=$?
	cat "$T/said"
	[ $rc = 1 ] && grep -Eq '^(zinfo|pread): -(5|22|95)$' "$T/said"
}
for bad in "$T"/bad-*; do
	check "index that is $(basename "$bad" | cut -c5-)" refused "$bad"
done
done_testing

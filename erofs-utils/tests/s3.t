#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# mkfs.erofs --s3, reads of objects as mount.erofs does them, and servers that lie
. "$(dirname "$0")/lib.sh"

if ! grep -q -- --s3 <("$MKFS" --help); then
	echo "1..0 # SKIP built without libcurl, openssl or libxml2"
	exit 0
fi
PREAD=$BUILD/check/utils/s3-pread
compile_with_liberofs "$PREAD" "$here/erofs-utils/tests/s3-pread.c"
python3 "$here/erofs-utils/tests/bucket.py" --expect "$T/want"
echo who:secret > "$T/key"
chmod 600 "$T/key"

# with MODE COMMAND...: run it with a server of that kind, at $port
with() { with_server bucket.py "$@"; }
# make_image HOST OPTIONS SOURCE MKFS-ARGUMENT...
make_image()
{
	local host=$1 options=$2 source=$3
	shift 3
	rm -f "$T/img"
	timeout 60 "$MKFS" --quiet "--s3=http://$host:$port$options" "$@" "$T/img" "$source"
}
from() { local mode=$1; shift; with "$mode" make_image 127.0.0.1 ,urlstyle=path bucket "$@"; }
same() { rm -rf "$T/x"; "$FSCK" "--extract=$T/x" "$T/img" && diff -r "$T/want" "$T/x"; }
good() { from "$@" && same; }
signed() { with "signed$1" make_image "$2" ",passwd_file=$T/key,region=nowhere-1,sig=$1,urlstyle=$3" "$4" && same; }

for m in good marked emptypage numbers noetags weak; do
	check "a bucket: $m" good $m
done
check "signed, version 2" signed 2 127.0.0.1 path bucket
check "signed, version 2, the bucket in the host" signed 2 localhost vhost bucket
check "signed, version 4" signed 4 127.0.0.1 path bucket
check "signed, version 4, the bucket in the host" signed 4 localhost vhost bucket
lines() { cp "$T/key" "$T/one" && echo "other:secret" >> "$T/key" && signed 4 127.0.0.1 path bucket; local status=$?; mv "$T/one" "$T/key"; return $status; }
check "keys are in the first line" lines
no_keys() { printf '\n%s\n' "$(cat "$T/key")" > "$T/none"; ! make_image 127.0.0.1 ",passwd_file=$T/none" bucket 2> "$T/err" && grep "first line" "$T/err"; }
check "and nowhere else" no_keys
prefix() { with signed4 make_image 127.0.0.1 ",passwd_file=$T/key,region=nowhere-1,sig=4,urlstyle=path" "bucket/a b&c#" &&
	[ "$("$DUMP" --ls --path=/ "$T/img" | grep -c 'a b&c#')" = 1 ] && [ "$("$DUMP" --ls --path=/ "$T/img" | grep -c plain)" = 0 ]; }
check "a prefix that has to be encoded" prefix

times() { TZ=$1 from good && grep -q "2026-01-02 03:04:05.250000000" <(TZ=UTC "$DUMP" --path=/plain "$T/img"); }
check "times are in UTC, wherever it runs" times America/New_York

fingerprints() { good good --fingerprint "$@" && "$FSCK" --fingerprint "$T/img" | grep "digests: 5 verified, 0 missing"; }
for o in "" -Enoinline_data -zlz4 --dax "--chunksize=4096 -Enoinline_data"; do
	check "fingerprints: $o" fingerprints $o
done
chunks() { grep -q "Layout: 4" <("$DUMP" --path=/plain "$T/img"); }
check "and the last are in chunks" chunks

for m in nokey:"without a key" emptykey:"without a key" nosize:"without a size" badsize:"12x is no size" hugesize:"is no size" \
	badtime:"yesterday is no time" notruncated:"does not say whether" nobool:"does not say whether" \
	twobools:"does not say whether" stuck:"does not say whether" alternate:"does not end" noxml:"failed to parse XML" \
	doctype:"has a document type" nothing:"." endless:"sends more than it should" refused:"HTTP code 403" dots:"can't be the name" dot:"can't be the name" \
	twice:"two objects for a b" both:"dir is a directory and an object" toolong:"too long" longname:"too long" \
	below:"failed to add empty/x/y: .*Not a directory" turns:"two objects for dir/" dirdata:"dir/ is a directory and an object of" \
	replaced:"was replaced while it is read" partial:"HTTP code 206" short:"has less than the" long:"." cut:"." ftp:"." \
	forbidden:"/bucket/.*: request failed with HTTP code 403"; do
	fails "a server that lies: ${m%%:*}" "${m#*:}" from ${m%%:*}
	check "and no image is left: ${m%%:*}" test ! -e "$T/img"
done
nowhere() { with good make_image 127.0.0.1 ,urlstyle=path bucket/nothing/; }
fails "a prefix that no object has" "there is no object in bucket/nothing/" nowhere
check "and no image is left" test ! -e "$T/img"
# what listens on another port is not spoken to
quiet() { from ftp 2> /dev/null; [ "$(wc -l < "$T/port")" = 1 ]; }
check "a server that wants something else than HTTP spoken" quiet

# reads MODE OFFSET LENGTH: are these the bytes of the object, and zeroes behind it?
piece() { timeout 60 "$PREAD" "http://127.0.0.1:$port" bucket plain "$1" "$2"; }
reads()
{
	with "$1" piece "$2" "$3" > "$T/piece" || return
	cmp "$T/piece" <({ tail -c "+$(($2 + 1))" "$T/want/plain"; cat /dev/zero; } | head -c "$3")
}
for m in good part noetags weak; do
	check "a range: $m" reads $m 100 100
	check "the end of an object: $m" reads $m 4990 100
done
check "behind the end of an object" reads good 8192 100
for m in hole other all; do
	fails "not the range that was asked for: $m" "." with $m piece 100 100
done
fails "a range of another object than at first" "was replaced while it is read" with replaced piece 100 100
fails "an object without a size" "does not say the size" with nolength piece 0 10
done_testing

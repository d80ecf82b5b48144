#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Digests of files that change, of broken images, and of other makers' images
. "$(dirname "$0")/lib.sh"

"$here/erofs-utils/tests/mktree" "$T/small" small || bail "cannot make the small tree"
expected "$T/small" > "$T/small.list"
mkdir -p "$T/hello"
printf 'hello\n' > "$T/hello/hello"
tar -C "$T/small" --exclude=./socket --xattrs -cf "$T/small.tar" .

# --- files that change while they are read
meddle=$BUILD/check/utils/meddle.so
compile "$meddle" "$here/erofs-utils/tests/meddle.c" -shared -fPIC -ldl
for o in "" -zlz4 --chunksize=4096 "-zlz4 -Eall-fragments" --dax; do
	for h in truncate append rewrite; do
		cp "$T/small/text" "$T/hello/victim"
		# shellcheck disable=SC2086
		fails "$h while it is read: ${o:-plain}" "victim|Bad address" timeout 60 env LD_PRELOAD="$meddle" \
			MEDDLE_FILE="$(realpath "$T/hello")/victim" MEDDLE_HOW=$h "$MKFS" --quiet --fingerprint $o "$T/img2" "$T/hello"
	done
done
# A new link changes the number of links and ctime, but not the contents.
only_linked()
{
	rm -f "$T/hello/victim.link"
	cp "$T/small/text" "$T/hello/victim"
	# shellcheck disable=SC2086
	env LD_PRELOAD="$meddle" MEDDLE_FILE="$(realpath "$T/hello")/victim" MEDDLE_HOW=link \
		"$MKFS" --quiet --fingerprint $1 "$T/img2" "$T/hello" && [ -e "$T/hello/victim.link" ] &&
		"$FSCK" --fingerprint "$T/img2"
}
for o in "" -zlz4 --chunksize=4096; do
	check "a file that only gets another link while it is read: ${o:-plain}" only_linked "$o"
done
rm -f "$T/hello/victim" "$T/hello/victim.link"

# --- sources that change between stat(2) and open(2)
# meddled HOW PATH MKFS-ARGUMENT...: make img2 of $T/hello
meddled()
{
	timeout 60 env LD_PRELOAD="$meddle" MEDDLE_HOW="$1" MEDDLE_FILE="$(realpath "$T/hello")/$2" "$MKFS" --quiet "${@:3}" \
		"$T/img2" "$T/hello"
}
for o in "" --fingerprint -zlz4 --chunksize=4096 --dax; do
	rm -f "$T/img2"
	cp "$T/small/text" "$T/hello/victim" && chmod 4755 "$T/hello/victim"
	tr a-z A-Z < "$T/small/text" > "$T/new"
	# shellcheck disable=SC2086
	MEDDLE_OTHER=$T/new fails "no contents of one file with the mode of another: ${o:-plain}" "victim isn't the file any more" \
		meddled replace victim $o
	check "and no image is left: ${o:-plain}" test ! -e "$T/img2"
done
for o in "" --chunksize=4096 -E48bit "-E48bit --fingerprint"; do
	cp "$T/small/text" "$T/hello/victim"
	# shellcheck disable=SC2086
	fails "a file that becomes shorter is no hole: ${o:-plain}" . meddled shrink victim $o
done
rm -f "$T/hello/victim"
mkdir -p "$T/hello/d" "$T/elsewhere" && ln -s here "$T/hello/d/link" && ln -s secret "$T/elsewhere/link"
no_detour()
{
	rm -rf "$T/img2" "$T/y"
	MEDDLE_OTHER=$(realpath "$T/elsewhere") meddled detour d/link 2> /dev/null || return 0
	"$FSCK" "--extract=$T/y" "$T/img2" && [ "$(readlink "$T/y/d/link")" = here ]
}
check "no symlink is read through a symlink" no_detour
[ -L "$T/hello/d" ] || bail "meddle did nothing"
rm -r "$T/hello/d" "$T/hello/d.old"
reused()
{
	rm -rf "$T/img2" "$T/y"
	MEDDLE_OTHER=$(realpath "$T/hello")/a/one meddled reuse b/sub --fingerprint && "$FSCK" "--extract=$T/y" "$T/img2" &&
		[ "$(cat "$T"/y/b/sub/new* | sort -u)" = new ]
}
mkdir -p "$T/hello/a" "$T/hello/b/sub" && echo one > "$T/hello/a/one"
name="a new file with the inode number of a removed one is no link to it"
check "$name" reused
[ -e "$T/hello/a/one.reused" ] || skip "$name, shown" "no inode number was used again here"
rm -r "$T/hello/a" "$T/hello/b"
fails_early()
{
	rm -f "$T/img2"
	env LD_PRELOAD="$meddle" MEDDLE_HOW=signal MEDDLE_FILE="$T/img2" "$MKFS" --quiet "$T/img2" "$T/hello" || [ $? = 143 ] && [ ! -e "$T/img2" ]
}
check "a signal right after the output has been created" fails_early

# --- each of the writes fails, once
mkdir "$T/links" && ln -s "$(printf 'x%.0s' {1..1500})" "$T/links/long" && head -c 20000 "$T/small/text" > "$T/links/text"
each_write()
{
	local n status
	rm -f "$T/img2"
	for n in {0..99}; do
		status=0
		LD_PRELOAD=$failnth FAILNTH=$n "$MKFS" --quiet $1 "$T/img2" "$T/links" 2> /dev/null || status=$?
		[ $status != 0 ] || break
		[ $status = 1 ] && [ ! -e "$T/img2" ] || return 1
	done
	[ $n -gt 2 ] && LD_PRELOAD=$failnth FAILNTH=99 "$MKFS" --quiet $1 "$T/img3" "$T/links" && cmp "$T/img2" "$T/img3"
}
for o in "-T1 -Uclear" "-T1 -Uclear -b512" "-T1 -Uclear -b1024 -zlz4" "-T1 -Uclear -b1024 --chunksize=4096"; do
	check "each of the writes fails, once: $o" each_write "$o"
done

# --- each of the reads is interrupted, once
each_read()
{
	local n
	"$MKFS" --quiet -T1 -Uclear "${@:2}" "$T/img3" "$T/$1" || return 1
	for n in {0..9}; do
		rm -f "$T/img2"
		LD_PRELOAD=$failnth FAILREAD=$n "$MKFS" --quiet -T1 -Uclear "${@:2}" "$T/img2" "$T/$1" && cmp "$T/img2" "$T/img3" || return 1
	done
}
check "each of the reads is interrupted, once: files" each_read small
check "each of the reads is interrupted, once: -zlz4" each_read small -zlz4 --workers=0
check "each of the reads is interrupted, once: --tar=f" each_read small.tar --tar=f

# --- each of the writes of an incremental build fails, once
mkdir -p "$T/inc/d/e" "$T/more/d" && echo one > "$T/inc/d/e/one" && echo two > "$T/more/d/two"
"$MKFS" --quiet -T1 -Uclear "$T/inc.img" "$T/inc" || bail "no base"
each_write_incremental()
{
	local n status
	for n in {0..99}; do
		cp "$T/inc.img" "$T/img2" && status=0
		LD_PRELOAD=$failnth FAILNTH=$n "$MKFS" --quiet --incremental=data "$T/img2" "$T/more" 2> /dev/null || status=$?
		[ $status != 0 ] || break
		cmp "$T/inc.img" "$T/img2" || return 1
	done
	[ $n -gt 2 ] && ! cmp -s "$T/inc.img" "$T/img2"
}
check "each of the writes of an incremental build fails, once" each_write_incremental

# --- quotas and network file systems can tell of an error at close() alone
closed()
{
	rm -rf "$T/img2" "$T/x"
	fails "$1: mkfs.erofs" "quota" env LD_PRELOAD="$failnth" FAILCLOSE=0 "$MKFS" --quiet "$T/img2" "$T/links"
	check "$1: no output is left" test ! -e "$T/img2"
	cp "$T/inc.img" "$T/img2"
	fails "$1: mkfs.erofs --incremental" "quota" env LD_PRELOAD="$failnth" FAILCLOSE=0 "$MKFS" --quiet --incremental=data "$T/img2" "$T/more"
	check "$1: the base is as it was" cmp "$T/inc.img" "$T/img2"
	fails "$1: fsck.erofs --extract" "quota" env LD_PRELOAD="$failnth" FAILCLOSE=0 "$FSCK" "--extract=$T/x" "$T/inc.img"
}
closed "close() fails"

head -c 200000 "$T/small.tar" > "$T/short.tar"
fails "a tar stream that ends too early" "." "$MKFS" --quiet --fingerprint --tar=f "$T/img2" "$T/short.tar"
fails "a tar index that ends too early" "." bash -c '"$1" --quiet --fingerprint --tar=i "$2/img2" < "$2/short.tar"' - "$MKFS" "$T"

# --- damage
mkimg -Enosbcrc --fingerprint "$T/good" "$T/small"
"$FPREAD" --offsets "$T/good" > "$T/offsets"
xattr=$(awk '$1 == "xattr" && $3 == "/text" { print $2 }' "$T/offsets")
other=$(awk '$1 == "xattr" && $3 == "/random" { print $2 }' "$T/offsets")
prefix=$(awk '$1 == "prefix" { print $2 }' "$T/offsets")
# damaged NAME OFFSET HEXBYTES: a copy of the image with these bytes
damaged()
{
	cp "$T/good" "$T/$1"
	printf "$(sed 's/../\\x&/g' <<< "$3")" | dd of="$T/$1" bs=1 seek="$2" conv=notrunc status=none
}
data=$(python3 -c 'import sys; print(open(sys.argv[1], "rb").read().find(open(sys.argv[2], "rb").read(4096)))' "$T/good" "$T/small/random")
damaged flip $((data + 1000)) 00
cmp -s "$T/good" "$T/flip" && damaged flip $((data + 1000)) 01
fails "one flipped byte of data is found, and the file named" "^<E> erofs: digest wrong: /random" "$FSCK" --fingerprint "$T/flip"
fails "and while extracting" "digest wrong: /random" "$FSCK" --fingerprint "--extract=$T/y" "$T/flip"
check "without --fingerprint nobody looks" "$FSCK" "$T/flip"
damaged should-fail-prefix-id $((1024 + 105)) 07
fails "a prefix id beyond the table" "invalid ishare xattr prefix id 7" "$FSCK" --fingerprint "$T/should-fail-prefix-id"
fails "dump, too" "invalid ishare xattr prefix id 7" "$DUMP" --fingerprint "$T/should-fail-prefix-id"
damaged should-fail-prefix-count $((1024 + 91)) 00
fails "a table without entries" "invalid ishare xattr prefix id 0" "$FSCK" --fingerprint "$T/should-fail-prefix-count"
damaged should-fail-truncated $((xattr + 2)) 0500
fails "a truncated value" "." "$FSCK" --fingerprint "$T/should-fail-truncated"
damaged should-fail-overlong $((xattr + 2)) ffff
fails "a value that is longer than a block" "." "$FSCK" --fingerprint "$T/should-fail-overlong"
damaged should-fail-algorithm $((xattr + 4)) 6d64353a
fails "another algorithm" "digest malformed, it is no SHA-256: /text" "$FSCK" --fingerprint "$T/should-fail-algorithm"
damaged should-fail-missing $((xattr + 1)) 01
fails "a missing one" "digest missing: /text" "$FSCK" --fingerprint "$T/should-fail-missing"
check "dump shows a missing one as -" grep -Eq '^- +300000 /text$' <("$DUMP" --fingerprint "$T/should-fail-missing")
cp "$T/good" "$T/should-fail-other"
dd if="$T/good" of="$T/should-fail-other" bs=1 skip=$((other + 11)) seek=$((xattr + 11)) count=32 conv=notrunc status=none
fails "the digest of another file" "digest wrong: /text" "$FSCK" --fingerprint "$T/should-fail-other"
damaged should-fail-table-size "$prefix" 0000
fails "an empty table entry" "." "$FSCK" --fingerprint "$T/should-fail-table-size"
damaged should-fail-table-start $((1024 + 92)) ffffffff
fails "a table beyond the image" "." "$FSCK" --fingerprint "$T/should-fail-table-start"
mkdir "$T/hide"
python3 -c 'import sys; open(sys.argv[1] + "/a", "wb").write(b"abc" * 7000); open(sys.argv[1] + "/b", "wb").write(b"xyz" * 7000)' "$T/hide"
mkimg -Enosbcrc,legacy-compress -zlz4 --fingerprint "$T/hidden" "$T/hide" && check "an image to hide an extent in" "$FSCK" --fingerprint "$T/hidden"
"$here/erofs-utils/tests/hide-extent" "$T/hidden" || bail "cannot hide an extent"
for o in "" --extract --fingerprint; do
	# shellcheck disable=SC2086	# no option at all, or one
	fails "an extent that only readers see: fsck.erofs $o" "has another one inside" "$FSCK" $o "$T/hidden"
done
mkimg -Enosbcrc --fingerprint -zlz4 -Efragments "$T/good" "$T/small"
damaged should-fail-plain $((1024 + 8)) 36
fails "a table that is in the packed inode, said to be plain" "." "$FSCK" --fingerprint "$T/should-fail-plain"
damaged should-fail-packed-start $((1024 + 92)) ffffff7f
fails "a table beyond the packed inode" "." "$FSCK" --fingerprint "$T/should-fail-packed-start"
mkimg "$T/none" "$T/small"
fails "an image without: fsck says how to get them" "make it with mkfs.erofs --fingerprint" "$FSCK" --fingerprint "$T/none"
fails "an image without: dump, too" "make it with mkfs.erofs --fingerprint" "$DUMP" --fingerprint "$T/none"

# --- other makers
if peer=$("$here/erofs-utils/tests/peer" "$BUILD/peer" 2> "$T/why"); then
	P=$BUILD/peer
	for o in "" -b512 -zlz4 "-zlz4 -Efragments" --chunksize=4096; do
		theirs()
		{
			# shellcheck disable=SC2086
			"$P/mkfs.erofs" -T0 -Uclear --quiet --xattr-inode-digest $o "$T/p" "$T/small" 2> /dev/null || return 1
			fplist "$T/p" | diff "$T/small.list" - && "$FSCK" --fingerprint "$T/p"
		}
		ours()
		{
			# shellcheck disable=SC2086
			mkimg --fingerprint $o "$T/p" "$T/small" && "$P/fsck.erofs" --xattr-inode-digest "$T/p"
		}
		check "erofs-utils $peer ${o:-plain}: their image, our fsck" theirs
		check "erofs-utils $peer ${o:-plain}: our image, their fsck" ours
	done
else
	skip "images of Debian's newest erofs-utils" "$(tail -n 1 "$T/why")"
fi

# --- a directory for each level is open while others are read
deep()
{
	python3 -c 'import os, sys
os.mkdir(sys.argv[1])
os.chdir(sys.argv[1])
for _ in range(1500):
    os.mkdir("x")
    os.chdir("x")
open("end", "w").close()' "$T/deep" && (ulimit -Sn 1024 && timeout 60 "$MKFS" --quiet "$T/img" "$T/deep") &&
		timeout 60 "$FSCK" "--extract=$T/out" "$T/img" && diff -r "$T/deep" "$T/out"
}
if [ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -gt 2000 ]; then
	rm -rf "$T/out"
	check "1,500 directories in each other, with 1,024 open files" deep
else
	skip "1,500 directories in each other" "$(ulimit -Hn) files may be open"
fi
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# mkfs.erofs --fingerprint: names, prefixes, and the same image from any number of workers
. "$(dirname "$0")/lib.sh"

"$here/erofs-utils/tests/mktree" "$T/small" small || bail "cannot make the small tree"
expected "$T/small" > "$T/small.list"
"$here/erofs-utils/tests/mktree" "$T/tree" || bail "cannot make the tree"

# --- names and options
mkimg --fingerprint "$T/img" "$T/small"
check "the default name is hidden, and all is where the format says" \
	has "$T/img" "^sb blksize=4096 compat=0x37 incompat=0x40 prefixes=1 start=[0-9]+ id=0 table=plain name=erofs.fingerprint.v1 base=0$"
example()
{
	mkdir -p "$T/hello" && printf 'hello\n' > "$T/hello/hello" && mkimg --fingerprint "$T/h" "$T/hello" || return 1
	at=$("$FPREAD" --offsets "$T/h" | awk '$1 == "xattr" { print $2 }')
	od -An -tx1 -v -j"$at" -N44 "$T/h" | tr -d ' \n' > "$T/bytes"
	printf '008027007368613235363a5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be0300' | cmp - "$T/bytes"
}
check "the bytes of the example in the format's description" example
mkimg --xattr-inode-digest "$T/img2" "$T/small"
check "--xattr-inode-digest is the same option" cmp "$T/img" "$T/img2"
visible()
{
	mkimg "--fingerprint=$1" "$T/img2" "$T/small" && has "$T/img2" " name=$2 base=$3\$" &&
		fplist "$T/img2" | diff "$T/small.list" - && "$FSCK" --fingerprint "$T/img2"
}
check "a name of one's own in user" visible user.fp fp 1
check "a name of one's own in trusted" visible trusted.erofs.fp erofs.fp 4
check "a name of one's own in security" visible security.fp fp 6
visible_extract()
{
	rm -rf "$T/x"
	mkimg --fingerprint=user.fp "$T/img2" "$T/small" && "$FSCK" --xattrs "--extract=$T/x" "$T/img2" &&
		[ "$(python3 -c 'import os,sys; print(os.getxattr(sys.argv[1], "user.fp")[7:].hex())' "$T/x/text")" = \
		  "$(sha256sum < "$T/small/text" | cut -d' ' -f1)" ]
}
if python3 -c 'import os,sys; os.setxattr(sys.argv[1], "user.t", b"")' "$T/hello/hello" 2>/dev/null; then
	check "a visible fingerprint comes out as an xattr" visible_extract
else
	skip "a visible fingerprint comes out as an xattr" "no user xattrs on this file system"
fi
for n in user. "" "user.$(printf 'x%.0s' {1..300})"; do
	fails "refused as a name: ${n:0:20}" "^<E> erofs: .*digest name" "$MKFS" "--fingerprint=$n" "$T/img2" "$T/small"
done
fails "pclusters of more blocks than an index can hold" "use -C524288, or larger blocks" \
	"$MKFS" -zlz4 -b512 -C1048576 "$T/img2" "$T/small"
fails "a dictionary that is too small for zstd" "invalid dictionary size 1$" "$MKFS" -zzstd,dictsize=1 "$T/img2" "$T/small"
fails "rvsp has no contents" "this image is made without" \
	bash -c 'tar -C "$1/hello" -cf "$1/hello.tar" . && "$2" --fingerprint --tar=f --clean=rvsp "$1/img2" "$1/hello.tar"' - "$T" "$MKFS"
prefixes()
{
	mkimg --fingerprint --xattr-prefix=user.a.long "$T/img2" "$T/small" &&
		has "$T/img2" "prefixes=2 .* id=1 table=plain name=erofs.fingerprint.v1 base=0$" &&
		fplist "$T/img2" | diff "$T/small.list" -
}
check "together with --xattr-prefix" prefixes
tar_prefixes()
{
	tar -C "$T/small" --exclude=./socket --xattrs -cf "$T/small.tar" . && rm -f "$T/img2" &&
		mkimg --fingerprint --xattr-prefix=user.a.long --tar=f "$T/img2" "$T/small.tar" &&
		fplist "$T/img2" | diff "$T/small.list" -
}
check "together with --xattr-prefix, from tar" tar_prefixes
check "feature names in dump.erofs" grep -q "plain_xattr_pfx ishare_xattrs" <("$DUMP" -s "$T/img")

root_isize()
{
	local n
	for n in 1 8 9 12 13 16 17 65532; do
		mkimg "--root-xattr-isize=$n" "$T/img2" "$T/hello" && "$FSCK" "$T/img2" || return 1
	done
}
check "any --root-xattr-isize makes a root that can be read" root_isize

# --- the same bytes for any number of workers
for o in "" -zlz4 "-zlz4 -C65536 -Efragments" "-zlz4 -Eall-fragments" --chunksize=4096 --dax; do
	same()
	{
		local w
		for w in 1 2 7 2; do
			# shellcheck disable=SC2086
			mkimg --fingerprint --workers=$w $o "$T/w$w" "$T/tree" 2> /dev/null || return 1
			cmp "$T/w1" "$T/w$w" || return 1
		done
	}
	check "the same image from 1, 2 and 7 workers: ${o:-plain}" same
done
no_workers() { mkimg --fingerprint --workers=0 "$T/w0" "$T/tree" && mkimg --fingerprint "$T/w1" "$T/tree" && cmp "$T/w0" "$T/w1"; }
check "and without workers" no_workers
for o in -zlz4 "-zlz4 -Eztailpacking" "-zlz4 -Ededupe" "-zlz4 -Efragments,dedupe,ztailpacking" "-zlz4 -Eall-fragments"; do
	small_workers()
	{
		local w
		for w in 0 1 3; do
			# shellcheck disable=SC2086
			mkimg --fingerprint --workers=$w $o "$T/w$w" "$T/small" 2> /dev/null || return 1
			cmp "$T/w0" "$T/w$w" || return 1
		done
		fplist "$T/w0" | diff "$T/small.list" -
	}
	check "without, with 1 and 3 workers: $o" small_workers
done
# Threads pack the ends of files in another order: so it is without fingerprints, too.
fragments()
{
	local w
	for w in 0 1 3; do
		mkimg --fingerprint --workers=$w -zlz4 -Efragments "$T/w$w" "$T/small" 2> /dev/null &&
			fplist "$T/w$w" | diff "$T/small.list" - || return 1
	done
	cmp "$T/w1" "$T/w3"
}
check "fragments: right without workers, and the same from 1 and 3" fragments
rm -f "$T"/w?
mkdir "$T/descriptors"
for n in $(seq 300); do head -c 40000 /dev/urandom > "$T/descriptors/$n"; done
# those that whoever runs the tests has left open count, too
descriptors() (for f in /proc/self/fd/*; do [ "${f##*/}" -le 2 ] || eval "exec ${f##*/}>&-"; done; ulimit -Sn 34; "$MKFS" --quiet "$@" "$T/fd.img" "$T/descriptors")
for o in "" --fingerprint "--fingerprint --workers=16" "--dedupe-files --workers=2" "--fingerprint --chunksize=4096" -zlz4; do
	check "34 file descriptors: ${o:-no options}" descriptors $o
done
rm -rf "$T/fd.img" "$T/descriptors"

# --- labels
if grep -q -- --file-contexts <("$MKFS" --help); then
	printf '/etc(/.*)?\tu:object_r:etc_t:s0\n/a(((.*\tu:object_r:a_t:s0\n' > "$T/broken.fc"
	printf '/.*\tu:object_r:a_t:s0\n' > "$T/good.fc"
	fails "file contexts with an expression that is none" "failed to lookup selabel" "$MKFS" --quiet "--file-contexts=$T/broken.fc" "$T/l.img" "$T/small"
	check "and no image is left" test ! -e "$T/l.img"
	fails "two files of contexts" "are those of one file" "$MKFS" --quiet "--file-contexts=$T/good.fc" "--file-contexts=$T/good.fc" "$T/l.img" "$T/small"
	labelled() { "$MKFS" --quiet "--file-contexts=$T/good.fc" "$T/l.img" "$T/small" && grep -q "u:object_r:a_t:s0" "$T/l.img"; }
	check "labels by file contexts" labelled
	fails "a directory of file contexts" "are a directory" "$MKFS" --quiet "--file-contexts=$T/small" "$T/l.img" "$T/small"
fi

# --- compression that brings nothing
unshrunk()
(
	mkdir -p "$T/unshrunk/s" && cd "$T/unshrunk" || return 1
	for n in 1 5 20 100 4096 5000 9000; do
		head -c $n /dev/urandom > s/r$n && head -c $n /dev/zero > s/z$n && truncate -s $n s/h$n || return 1
	done
	for options in --chunksize=4096 --chunksize=8192 -E48bit "-E48bit --chunksize=4096"; do
		rm -rf x
		# shellcheck disable=SC2086
		mkimg -zlz4 -Eztailpacking $options i s && "$FSCK" --extract=x i && diff -r s x || return 1
	done
)
check "-Eztailpacking: what compression makes no smaller" unshrunk
run_of_zeroes()
(
	mkdir -p "$T/run/s" && cd "$T/run" || return 1
	{ head -c 1000000 /dev/urandom; head -c 1000000 /dev/zero; head -c 1000000 /dev/urandom; head -c 500001 /dev/zero; } > s/f
	head -c 1000000 /dev/urandom >> s/f
	# it took time by the square of the run
	ulimit -t 10
	mkimg -zlz4 -Ededupe i s && "$FSCK" --extract=x i && cmp s/f x/f
)
check "-Ededupe: a run of zeroes" run_of_zeroes

# --- what isn't a file has no path that a hint could match
hinted()
(
	mkdir "$T/hinted" && cd "$T/hinted" && echo '0 ^[^a-z]' > hints && mkdir d && seq 2 9000 > d/f || return 1
	# it was matched with what is as many bytes behind the name of the packed inode as that path is long
	last=d
	for n in {10..230..11}; do
		dir=$(printf 'd%.0s' $(seq "$n"))
		mv $last "$dir" && last=$dir && mkimg -zlz4 -C65536 -Eall-fragments --compress-hints=hints "$n" "$dir" && cmp 10 "$n" || return 1
	done
)
check "compress hints: the same fragments, however long the source's path is" hinted

# --- sources
ln -s small "$T/symlink"
symlink() { mkimg "$T/l1.img" "$T/small" && mkimg "$T/l2.img" "$T/symlink" && cmp "$T/l1.img" "$T/l2.img"; }
check "a symlink to a directory is that directory" symlink
mkimg --fingerprint -Enoinline_data "$T/own.img" "$T/hello" && mkimg --fingerprint "$T/refers.img" "$T/own.img"
fails "images with and without a device" "hold their data themselves, or that have one device each" mkimg "$T/l3.img" "$T/own.img" "$T/refers.img"
late() { "$MKFS" --quiet -T9223372036854775807 "$T/late.img" "$T/hello" && grep -q "created: *(out of range)$" <("$DUMP" "$T/late.img"); }
check "a time that no calendar has" late
check "--mount-point without labels" grep -q "no effect: it's for labels" <("$MKFS" --mount-point=/x "$T/l4.img" "$T/hello" 2>&1)

done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# mkfs.erofs --fingerprint: every layout has the right fingerprints, says the
# independent reader, and so does fsck.erofs; file contents come out again.
. "$(dirname "$0")/lib.sh"

"$here/erofs-utils/tests/mktree" "$T/tree" || bail "cannot make the tree"
"$here/erofs-utils/tests/mktree" "$T/small" small || bail "cannot make the small tree"
expected "$T/tree" > "$T/tree.list"
expected "$T/small" > "$T/small.list"
tar -C "$T/tree" --sort=name --xattrs --exclude=./socket -cf "$T/tree.tar" . || bail "tar failed"
gzip -1 -k "$T/tree.tar"
xz -0 -k -T0 "$T/tree.tar"

# Sockets and xattrs do not survive everywhere; contents have to.
same_files()
{
	(cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum) > "$T/a.sums"
	(cd "$2" && find . -type f -print0 | sort -z | xargs -0 sha256sum) > "$T/b.sums"
	diff "$T/a.sums" "$T/b.sums"
}

# judge TREE IMAGE [--device=...]: reader, fsck and extraction agree with TREE
judge()
{
	local tree=$1 img=$2
	shift 2
	fplist "$img" "$@" > "$T/list" || return 1
	diff "$T/$tree.list" "$T/list" || return 1
	rm -rf "$T/x"
	"$FSCK" --fingerprint "--extract=$T/x" "$@" "$img" || return 1
	same_files "$T/$tree" "$T/x"
}

make_and_judge()
{
	local tree=$1
	shift
	rm -f "$T/img"
	mkimg --fingerprint "$@" "$T/img" "$T/$tree" && judge "$tree" "$T/img"
}

# --- from a directory
for o in "" -Enoinline_data -b512 -b1024 -b2048 -Eforce-inode-extended -x-1 --dax \
	--chunksize=4096 --chunksize=65536 "--chunksize=1048576 -Eforce-chunk-indexes" \
	"-b512 --chunksize=512" "-b512 -Enoinline_data" --hard-dereference; do
	# shellcheck disable=SC2086
	check "plain $o" make_and_judge tree $o
done
for o in "" "-C65536 -Efragments,fragdedupe=inode" -Eall-fragments -Ededupe; do
	# shellcheck disable=SC2086
	check "lz4 $o" make_and_judge tree -zlz4 $o
done
for o in -Elegacy-compress -Efragments -Eztailpacking -Efragments,dedupe \
	-Eall-fragments,dedupe -Efragments,ztailpacking,dedupe "-b1024 -Efragments" -b512 \
	"--max-extent-bytes=65536 -Eztailpacking,dedupe"; do
	# shellcheck disable=SC2086
	check "lz4 $o" make_and_judge small -zlz4 $o
done
for z in lz4hc,2 deflate,1 zstd,3 "zstd,3 -C65536"; do
	for o in "" -Ededupe,fragments -Eall-fragments,ztailpacking; do
		# shellcheck disable=SC2086
		check "$z $o" make_and_judge small -z$z $o
	done
done
# the window that is told of must be the one that is needed; it is behind the size of the configuration
if grep -q "^ *libdeflate" <("$MKFS" --help); then
	mkimg -zlibdeflate "$T/img" "$T/small"
	check "the window of libdeflate" test "$(od -An -tu1 -j1154 -N1 "$T/img")" -eq 15
fi
# equal files by different algorithms
mkdir "$T/twins"
seq 1 60000 > "$T/twins/a"
cp "$T/twins/a" "$T/twins/b"
cp "$T/twins/a" "$T/twins/c"
expected "$T/twins" > "$T/twins.list"
printf '65536 0 ^a$\n65536 1 ^b$\n' > "$T/hints"
for z in lz4:zstd zstd:lz4 lz4hc:deflate; do
	for o in -Ededupe -Efragments,dedupe -Ededupe,legacy-compress; do
		check "equal files by $z $o" make_and_judge twins -z$z -C65536 $o "--compress-hints=$T/hints"
	done
done
# a tail that is in the packed inode already, and all of it in other files' extents, too
mkdir "$T/found"
head -c 300000 /dev/urandom > "$T/noise"
cat "$T/noise" "$T/twins/a" > "$T/found/before"
cat "$T/twins/a" "$T/noise" > "$T/found/behind"
{ head -c 5000 "$T/twins/a"; cat "$T/noise"; tail -c 100000 "$T/twins/a"; } > "$T/found/tail"
expected "$T/found" > "$T/found.list"
for z in lz4 zstd; do
	for o in -Efragments,dedupe -Eall-fragments,dedupe; do
		check "tails that are found twice, $z $o" make_and_judge found -z$z -C65536 --max-extent-bytes=8192 $o
	done
done
# slow, so with a few files only
mkdir "$T/tiny"
cp -a "$T/small"/{sizes,tails,empty} "$T/tiny"
expected "$T/tiny" > "$T/tiny.list"
for o in "" -Ededupe,fragments -Eall-fragments,ztailpacking; do
	# shellcheck disable=SC2086
	check "lzma $o" make_and_judge tiny -zlzma,1 -C65536 $o
done
"$FPREAD" "$T/img" | awk '{ print $3 }' | sort -u > "$T/seen"
check "compressed layouts are really there" grep -q -e compact -e full "$T/seen"

# --- from tar
tar_and_judge()
{
	local src=$1
	shift
	rm -f "$T/img"
	mkimg --fingerprint "$@" "$T/img" "$src" && judge tree "$T/img"
}
for o in "" -Enoinline_data "--sort=none -Enoinline_data" -b1024 --chunksize=4096 --dax \
	"--dax --sort=none" -zlz4 "-zlz4 -Efragments" "-zlz4 -Eall-fragments" \
	"-zlz4 -Ededupe,fragments,ztailpacking" --aufs --ovlfs-strip=1; do
	# shellcheck disable=SC2086
	check "tar $o" tar_and_judge "$T/tree.tar" --tar=f $o
done
check "tar, gzip" tar_and_judge "$T/tree.tar.gz" --tar=f --ungzip
check "tar, xz" tar_and_judge "$T/tree.tar.xz" --tar=f --unxz
check "tar, gzip, lz4 and fragments" tar_and_judge "$T/tree.tar.gz" --tar=f --ungzip -zlz4 -Efragments
stream()
{
	rm -f "$T/img"
	# shellcheck disable=SC2002
	cat "$T/tree.tar" | mkimg --fingerprint --tar=f "$T/img" && judge tree "$T/img"
}
check "tar as a stream" stream

check "tar index" mkimg --fingerprint --tar=i "$T/img" "$T/tree.tar"
check "tar index: fingerprints of what the tar file holds" judge tree "$T/img" "--device=$T/tree.tar"
index_stream() { rm -f "$T/img2"; gzip -dc "$T/tree.tar.gz" | mkimg --fingerprint --tar=i "$T/img2" && cmp "$T/img" "$T/img2"; }
check "tar index of a stream is the same" index_stream
python3 - "$T/tree.tar" "$T/headers.tar" <<'END'
import sys, tarfile
# the headers only: sizes stay, data goes
with tarfile.open(sys.argv[1]) as t, open(sys.argv[1], "rb") as src, open(sys.argv[2], "wb") as out:
    pos = 0
    for m in t:
        src.seek(pos)
        out.write(src.read(m.offset_data - pos))
        pos = m.offset_data + ((m.size + 511) // 512 * 512 if m.isreg() else 0)
END
rm -f "$T/img"
check "headerball" mkimg --fingerprint --tar=headerball "$T/img" "$T/headers.tar"
check "headerball: fingerprints of holes, which is what the image holds" "$FPREAD" "$T/img"
check "headerball: fsck agrees" "$FSCK" --fingerprint "$T/img"

# --- a blob device
blob()
{
	: > "$T/blob"
	rm -f "$T/img"
	mkimg --fingerprint --chunksize=4096 "--blobdev=$T/blob" "$T/img" "$T/tree" &&
		judge tree "$T/img" "--device=$T/blob"
}
check "blobdev" blob

# --- merged images, which refer to their sources
mkdir -p "$T/upper/sizes" "$T/both" "$T/lower"
printf upper > "$T/upper/text"
truncate -s 9M "$T/upper/hole"
printf 'more than one chunk' >> "$T/upper/hole"
cp -a "$T/small/." "$T/lower"
rm -f "$T/lower/fifo" "$T/lower/socket"
cp -a "$T/lower/." "$T/both"
cp -a "$T/upper/." "$T/both"
expected "$T/both" > "$T/both.list"
for how in "--fingerprint --fingerprint" "--fingerprint -" "- --fingerprint" "- -" \
	"--fingerprint=user.fp --fingerprint"; do
	read -r a b <<< "$how"
	merge()
	{
		rm -f "$T"/{up,low,img}
		# shellcheck disable=SC2046
		mkimg --chunksize=65536 $([ "$a" = - ] || echo "$a") "$T/up" "$T/upper" &&
			mkimg -Enoinline_data $([ "$b" = - ] || echo "$b") "$T/low" "$T/lower" &&
			mkimg --fingerprint "$T/img" "$T/low" "$T/up" &&
			judge both "$T/img" "--device=$T/low" "--device=$T/up"
	}
	check "merge, sources with: $how" merge
done
keeps()
{
	rm -f "$T"/{up,low,img}
	mkimg --chunksize=65536 --fingerprint=user.zz "$T/up" "$T/upper" &&
		mkimg -Enoinline_data --fingerprint "$T/low" "$T/lower" &&
		mkimg "$T/img" "$T/low" "$T/up" &&
		judge both "$T/img" "--device=$T/low" "--device=$T/up"
}
check "merge keeps fingerprints of its own accord if all sources have them" keeps
drops()
{
	mkimg -Enoinline_data "$T/low2" "$T/lower" && rm -f "$T/img" &&
		"$MKFS" -d2 "$T/img" "$T/up" "$T/low2" > "$T/msg" 2>&1 &&
		grep "has no digests, so those of" "$T/msg"
}
check "merge says that it drops fingerprints if not" drops
fails "merge of an image whose data is elsewhere and has no fingerprints" "say where with --device" \
	bash -c 'rm -f "$1/img" "$1/i"; "$2" --quiet --tar=i "$1/i" "$1/tree.tar" && "$2" --fingerprint --quiet "$1/img" "$1/i"' - "$T" "$MKFS"

# --- DEFLATE streams whose last byte or two are in a page by themselves, which Linux (up to 7.3) can't read
stream_ends()
{
	local places

	rm -rf "$T/words" && mkdir "$T/words" || return 1
	python3 - "$T/words" <<-'EOF' || return 1
		import random, sys
		r = random.Random(5)
		words = [r.randbytes(r.randrange(3, 40)) for _ in range(300)]
		for i in range(60):
		    with open(f"{sys.argv[1]}/f{i}", "wb") as f:
		        f.write(b"".join(r.choice(words) for _ in range(40000)))
	EOF
	rm -f "$T/img"
	"$MKFS" --quiet -zlibdeflate -E48bit -C65536 --max-extent-bytes=5000 "$@" "$T/img" "$T/words" || return 1
	for i in {0..59}; do
		"$DUMP" -e "--path=/f$i" "$T/img"
	done > "$T/extents"
	places=$(sed -nE 's/^ *[0-9]+: .*: *[0-9]+\.\. *([0-9]+) \|.*/\1/p' "$T/extents")
	[ "$(wc -w <<< "$places")" -gt 10000 ] || return 1
	for i in $places; do
		case $((i % 4096)) in
		1 | 2) echo "an extent ends at $i"; return 1 ;;
		esac
	done
	"$FSCK" "--extract=$T/words.out" "$T/img" && same_files "$T/words" "$T/words.out"
}
if grep -q libdeflate <("$MKFS" --help); then
	check "no DEFLATE stream ends at the beginning of a page" stream_ends
	rm -rf "$T/words.out"
	check "nor without threads" stream_ends --workers=0
	# what is not compressed begins behind what is, in the middle of a block
	python3 - "$T/raw" <<-'EOF'
		import os, random, sys
		r = random.Random(7)
		os.mkdir(sys.argv[1])
		for i in range(60):
		    with open(f"{sys.argv[1]}/f{i}", "wb") as f:
		        f.write(r.randbytes(r.randrange(5000, 9000) - 200 - i * 8) + bytes(200 + i * 8))
	EOF
	raw_ends() { rm -rf "$T/img" "$T/raw.out"; "$MKFS" --quiet -zlibdeflate -E48bit -C65536 --max-extent-bytes=5000 --workers=2 "$T/img" "$T/raw" &&
		"$FSCK" "--extract=$T/raw.out" "$T/img" && same_files "$T/raw" "$T/raw.out"; }
	check "ends that are not compressed" raw_ends
else
	skip "ends of DEFLATE streams" "built without libdeflate"
fi

# --- behind block 2^32; all of it is holes
mkdir "$T/far" "$T/far/d" && for i in 1 2 3; do head -c 20000 /dev/urandom > "$T/far/$i"; done
ln "$T/far/1" "$T/far/z"
for i in $(seq 100); do touch "$T/far/d/a-name-of-some-length-$i"; done
far() { rm -f "$T/img"; "$MKFS" --quiet -T1 -b512 -E48bit --dsunit=2147483648 "$@" "$T/img" "$T/far" && "$FSCK" "$T/img"; }
for o in --workers=2 --async-queue-limit=1 -Enoinline_data; do
	check "directories and hard links behind block 2^32: $o" far $o
done
fails "compact inodes have no room for both" "has 2 links, and its data behind block 2\^32" far -Eforce-inode-compact
for i in 1 2 3; do
	mkdir "$T/far$i" && touch "$T/far$i"/a-name-of-some-length-{1..60}
	"$MKFS" --quiet -b512 -Enoinline_data --fsalignblks=2147483632 "$T/far$i.img" "$T/far$i"
done
all_far() { rm -f "$T/img"; "$MKFS" --quiet -b512 "$@" "$T/img" "$T"/far{1,2,3}.img; }
fails "devices of more blocks than slots have bits" "blocks in all, which takes -E48bit" all_far
far_devices() { all_far -E48bit && "$FSCK" --device="$T/far1.img" --device="$T/far2.img" --device="$T/far3.img" "$T/img"; }
check "with -E48bit they have" far_devices
rm -rf "$T"/far*
dechunked() { rm -f "$T/img"; "$MKFS" --quiet -Ededupe "$T/img" "$T/lower" && "$DUMP" -s "$T/img" | grep -q 'incompatible.*chunked_file'; }
check "an image with chunks says so, whatever made them" dechunked

# --- incremental builds
prefixed()
{
	python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.foo.a", b"1")' "$T/prefixed/f" || return 1
	"$MKFS" --quiet -b512 --fsalignblks=16777216 "$T/img" "$T/lower" &&
		"$MKFS" --quiet --incremental=data --xattr-prefix=user.foo. "$T/img" "$T/prefixed" && "$FSCK" "$T/img"
}
mkdir "$T/prefixed" && echo f > "$T/prefixed/f"
rm -f "$T/img"
if python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.a", b"1")' "$T/prefixed/f" 2> /dev/null; then
	check "prefixes of xattrs for a base of more than 4 GiB" prefixed
else
	skip "prefixes of xattrs for a base of more than 4 GiB" "this file system has no xattrs"
fi
if mknod "$T/prefixed/gone" c 0 0 2> /dev/null; then
	stripped() { rm -f "$T/img"; "$MKFS" --quiet "$T/img" "$T/prefixed" && "$MKFS" -d9 --incremental=data --ovlfs-strip=1 "$T/img" "$T/upper" > "$T/said" 2>&1 && grep -q "remove whiteout .*/gone" "$T/said"; }
	check "whiteouts of the base are taken out, and named" stripped
else
	skip "whiteouts of the base are taken out, and named" "not root"
fi
tar -C "$T/upper" -cf "$T/upper.tar" .
incremental()
{
	local opt=$1
	shift
	rm -f "$T/img"
	# shellcheck disable=SC2068
	mkimg --fingerprint $@ "$T/img" "$T/lower" &&
		mkimg $opt --tar=f --incremental=data $@ "$T/img" "$T/upper.tar" &&
		judge both "$T/img"
}
check "incremental" incremental --fingerprint
check "incremental, fingerprints of its own accord" incremental ""
check "incremental, the name taken from the base" incremental "" --fingerprint=user.fp
mkimg "$T/base" "$T/lower"
fails "incremental on a base without fingerprints" "remake it with --fingerprint" \
	"$MKFS" --fingerprint --tar=f --incremental=data "$T/base" "$T/upper.tar"
mkimg --fingerprint=user.fp "$T/base2" "$T/lower"
fails "incremental under another name than the base" "can't have them in" \
	"$MKFS" --fingerprint=user.other --tar=f --incremental=data "$T/base2" "$T/upper.tar"

done_testing

#!/bin/sh
# Fills tests/fuzz/corpus from fixture directories: every index, segment, tombstones file and meta.json up to 64 KB.
# Chunks of XOR2 and of histograms are taken one by one, every twelfth of a segment. Of a log's
# segment the first page serves, and plain records in it one by one; of a head chunk file the first 64 KB.
# Usage: tests/fuzz/seeds.sh [FIXTURES...]; without arguments the crate's own fixtures/.
set -eu
here=$(dirname "$0")
[ $# -gt 0 ] || set -- "$here/../../fixtures"
corpus=$here/corpus
for t in index xor_chunk xor2_chunk histogram_chunk segment_chunk tombstones meta selector block \
  wal_segment wal_record head_chunks chunk_snapshot archive head exposition dumps dataset; do mkdir -p "$corpus/$t"; done
u16() { printf "\\$(printf %o $(($1 / 256)))\\$(printf %o $(($1 % 256)))"; }
n=0
find "$@" -type f -name meta.json | sort | while read -r meta; do
  dir=$(dirname "$meta")
  [ -f "$dir/index" ] || continue
  n=$((n + 1))
  cp "$meta" "$corpus/meta/$n"
  size=$(wc -c < "$dir/index")
  [ "$size" -le 16384 ] || continue
  # The first byte says that checksums are to be set right after a mutation.
  { printf '\001'; cat "$dir/index"; } > "$corpus/index/$n"
  [ -f "$dir/tombstones" ] && { printf '\001'; cat "$dir/tombstones"; } > "$corpus/tombstones/$n"
  segment="$dir/chunks/000001"
  [ -f "$segment" ] && [ "$(wc -c < "$segment")" -le 65536 ] || continue
  od -An -v -tu1 "$segment" | awk '
    { for (i = 1; i <= NF; i++) b[n++] = $i }
    END {
      for (at = 8; at < n; at = at + size + 5) {
        size = 0; shift = 1
        do { size += b[at] % 128 * shift; shift *= 128 } while (b[at++] >= 128)
        if (k++ % 12 == 0) print b[at], at + 1, size
      }
    }' | while read -r encoding at length; do
    case $encoding in
      4) to=xor2_chunk mode= ;;
      2) to=histogram_chunk mode='\000' ;;
      3) to=histogram_chunk mode='\001' ;;
      5) to=histogram_chunk mode='\002' ;;
      6) to=histogram_chunk mode='\003' ;;
      *) continue ;;
    esac
    { printf "$mode"; dd if="$segment" bs=1 skip="$at" count="$length" 2>/dev/null; } > "$corpus/$to/$n-$at"
  done
  [ "$(wc -c < "$segment")" -le 32768 ] || continue
  { printf '\001'; cat "$segment"; } > "$corpus/segment_chunk/$n"
  # The first chunk's data: behind the header, two bytes of length and the encoding, at most a kilobyte.
  dd if="$segment" bs=1 skip=11 count=1024 of="$corpus/xor_chunk/$n" 2>/dev/null
  [ "$size" -le 2048 ] && [ "$(wc -c < "$segment")" -le 4096 ] || continue
  { printf '\003'; u16 "$size"; u16 "$(wc -c < "$segment")"; cat "$dir/index" "$segment"
    [ -f "$dir/tombstones" ] && cat "$dir/tombstones"; } > "$corpus/block/$n"
done
# Plain records of the first page of a segment: offset and length of every fragment that is one, at most forty.
records() {
  dd if="$1" bs=32768 count=1 2>/dev/null | od -An -v -tu1 | awk '
    { for (i = 1; i <= NF; i++) b[n++] = $i }
    END {
      for (at = 0; at + 7 < n && b[at] % 8; at += 7 + size) {
        size = b[at + 1] * 256 + b[at + 2]
        if (b[at] == 1 && size > 0 && size <= 2048 && !(k[b[at + 7]]++ % 7) && j++ < 40) print at + 7, size
      }
    }'
}
n=0
find "$@" -type f \( -path '*/wal/*' -o -path '*/wbl/*' -o -path '*/chunk_snapshot.*/*' \) -name '0*' | sort | while read -r log; do
  n=$((n + 1))
  { printf '\001'; dd if="$log" bs=4096 count=8 2>/dev/null; } > "$corpus/wal_segment/$n"
  case $log in */chunk_snapshot.*) to=chunk_snapshot ;; *) to=wal_record ;; esac
  records "$log" | while read -r at length; do
    dd if="$log" bs=1 skip="$at" count="$length" of="$corpus/$to/$n-$at" 2>/dev/null
  done
done
# Open chunks: none, floats, a histogram; then deletions and an exemplar.
zeros() { dd if=/dev/zero bs=1 count="$1" 2>/dev/null; }
open() { printf '\001'; zeros 7; printf '\007\001\001a\001b'; zeros 8; }
{ open; printf '\000'; } > "$corpus/chunk_snapshot/none"
{ open; printf '\001'; zeros 16; printf '\001\013\000\001\000'; zeros 72; } > "$corpus/chunk_snapshot/floats"
{ open; printf '\001'; zeros 16; printf '\002\003\000\000\000\000\000'; zeros 22; } > "$corpus/chunk_snapshot/histogram"
printf '\002\007\001\007\001\002\010\003\004' > "$corpus/chunk_snapshot/deletions"
{ printf '\003'; zeros 26; printf '\001\001a\001b'; } > "$corpus/chunk_snapshot/exemplar"
n=0
find "$@" -type f -path '*/chunks_head/*' -name '0*' | sort | while read -r file; do
  n=$((n + 1))
  { printf '\001'; dd if="$file" bs=4096 count=16 2>/dev/null; } > "$corpus/head_chunks/$n"
done
# Small archives of every kind, of one block, with what the machine's own tools add to them.
small=$here/../../fixtures/damage/data
pack() { printf '\000' > "$corpus/archive/$1"; cat >> "$corpus/archive/$1"; }
block=$(ls "$small" | head -n 1)
for format in v7 ustar gnu posix; do
  tar --format=$format -C "$small" -cf - "$block" 2>/dev/null | pack $format || true
done
tar -C "$small" -cf - "$block" | gzip -9 | pack gz
if command -v zstd >/dev/null; then tar -C "$small" -cf - "$block" | zstd -q | pack zst; fi
if command -v zip >/dev/null; then (cd "$small" && zip -qr - "$block") | pack zip-streamed; fi
if command -v python3 >/dev/null; then
  at=$(mktemp -d)
  (cd "$small" && python3 -m zipfile -c "$at/a.zip" "$block") && pack zip < "$at/a.zip"
  rm -r "$at"
fi
# Whole heads: checkpoint, a segment, late samples and head chunks of one directory, 7 bytes of mode and lengths before them.
# Each file without the zeros at its end, and at most 6 KB of it.
n=0
find "$@" -type d -name wal | sort | while read -r wal; do
  checkpoint=$(find "$wal" -path '*/checkpoint.*/0*' | sort | tail -n 1)
  chunks=$(find "$wal/../chunks_head" -type f 2>/dev/null | sort | tail -n 2 | head -n 1)
  late=$(find "$wal/../wbl" -type f 2>/dev/null | sort | tail -n 2 | head -n 1)
  for log in "$wal"/0*; do
    n=$((n + 1))
    part() { [ -z "$1" ] || dd if="$1" bs=6144 count=1 2>/dev/null | od -An -v -tu1 | awk '
      { for (i = 1; i <= NF; i++) b[n++] = $i }
      END { while (n && !b[n - 1]) n--; for (i = 0; i < n; i++) printf "\\%o", b[i] }'; }
    i=0
    for file in "$checkpoint" "$log" "$late" "$chunks"; do i=$((i + 1)); printf "$(part "$file")" > "$corpus/head/part$i"; done
    { printf "\\00$((n % 2 * 6 + 1))"
      for i in 1 2 3; do u16 "$(wc -c < "$corpus/head/part$i")"; done
      cat "$corpus"/head/part[1234]; } > "$corpus/head/$n"
    rm "$corpus"/head/part[1234]
  done
done
# Dumps in all dialects; of large ones the first lines.
dump() { mode=$1; to=$2; { printf "$mode"; head -c 4000; } > "$corpus/exposition/$to"; }
dumps=$here/../../fixtures/dumps
for file in "$dumps"/*.prom; do dump '\000' "$(basename "$file")" < "$file"; done
for file in "$dumps"/*.om; do dump '\001' "$(basename "$file")" < "$file"; done
if command -v zstd >/dev/null; then
  zstd -qdc "$dumps/dump.txt.zst" | dump '\002' dump
  zstd -qdc "$dumps/dump.om.zst" | dump '\003' dump-openmetrics
  zstd -qdc "$dumps/query-raw.json.zst" | dump '\000' answer
fi
printf '\000a{b="c\nd",e="\\\\n"} 1\t2\n# TYPE h histogram\n{"h.x",le="1"} NaN\n' > "$corpus/exposition/odd"
# Folders of them: a file three times, two targets with stale markers and counting starts between them, an answer.
one=$(ls "$dumps"/*.prom | head -n 1)
for i in 1 2 3; do printf '\000'; head -n 40 "$one"; done | { printf '\002'; tail -c +2; } > "$corpus/dumps/three"
{ printf '\001'
  printf '\000# TYPE a counter\na_total 1\nb 2\n\000\001a_total 5\nb{c="d"} 1\n\000'
  printf '\000a_total 3\n\000\002# TYPE a counter\na_total 9\na_created 1763553500\n# EOF\n\000'
  printf '\000# scrape 1763553700\na_total 4\n# scrape 1763553715\na_total 6 1763553714000\n'; } > "$corpus/dumps/targets"
if command -v zstd >/dev/null; then
  { printf '\004\006'; zstd -qdc "$dumps/query-raw.json.zst" | head -c 4000; } > "$corpus/dumps/answer"
fi
# Of a dataset: nothing changed, a byte of the first file's footer, bytes of the pages of two files.
printf '\000' > "$corpus/dataset/whole"
printf '\001\000\000\020\377' > "$corpus/dataset/footer"
printf '\000\200\000\040\001\201\001\000\377' > "$corpus/dataset/pages"
i=0
while read -r s; do i=$((i + 1)); printf '%s' "$s" > "$corpus/selector/$i"; done <<'END'
up
http_requests_total{code=~"2..",job="api"}
{"my.metric","http.code"!="1"}
a:b{x!~'\u00e9|`',y="\x41\101\n"}
x{a=~"(a|b)*[c-f]{2,3}",b=`raw\d`,}
END

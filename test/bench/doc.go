// Command bench measures what s3veil costs: CPU seconds (user and system) of the s3veil process per GiB, and per request
// for small objects, beside a bare relay that moves the same bytes and beside no proxy at all, interleaved in one run. The
// store is a process that discards what is put and serves what is read from memory; the load comes from a process of its
// own. Conclude from ratios in one run only, and not below 15 %.
//
//	go run ./test/bench [-rounds 3] [-scale 1] [-only put] [-profile DIR] [-against BINARY]
//	go run ./test/bench -memory [-scale 1]
//	go run ./test/bench -latency [-scale 1]
//
// The limit in the table is the relay of the same run plus AES-256-GCM over the bytes, plus SHA-256 where the payload is
// signed, both measured in the same run.
package main

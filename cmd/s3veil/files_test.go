package main

import "testing"

func TestClientsLeaveFilesToStores(t *testing.T) {
	for _, c := range []struct{ wanted, files, stores, want int }{
		{16384, 0, 576, 16384}, // unknown
		{16384, 1 << 20, 576, 16384},
		{16384, 17000, 576, 16384},
		{16384, 4096, 576, 4096 - 576 - ownFiles},
		{16384, 1024, 576, 512}, // no room for both
		{100, 1024, 576, 100},
		{16384, 1, 576, 1},
	} {
		want := min(c.want, c.wanted)
		if got := clientConnections(c.wanted, c.files, c.stores); got != want {
			t.Errorf("%d wanted, %d files, %d to stores: %d, want %d", c.wanted, c.files, c.stores, got, want)
		}
	}
}

//go:build integration

package mutation

const (
	derivation = "crypto/kdf/kdf.go"
	opening64  = "proxy/opener.go"
	buffers    = "proxy/budget/buffers.go"
	resting    = "proxy/idle.go"
	listening  = "proxy/listen.go"
	deadlines  = "proxy/conn.go"
)

func init() {
	filters[opening64] = "LeaveNoPlaintext"
	filters[resting], filters[listening], filters[deadlines] = "Rest|TurnedAway|Deadline", "Rest|TurnedAway|Deadline", "Rest|TurnedAway|Deadline"
	mutations = append(mutations,
		mutation{"label outside the derived key", derivation, "append(append(room[:0], info...), 1)", "append(room[:0], 1)"},
		mutation{"salt outside the derived key", derivation, "mac(prk, salt, secret)", "mac(prk, nil, secret)"},
		mutation{"plaintext stays in free buffers", buffers, "	clear(buf.Plain[:buf.fill])\n", ""},
		mutation{"a read forgets what it has filled", opening64, "	b.most = max(b.most, len(plain))\n", ""},
		mutation{"connections at rest outlive the shutdown", resting, "		_ = c.client().Conn.Close()\n	}\n	clear(r.conns)", "		_ = c\n	}\n	clear(r.conns)"},
		mutation{"connections at rest have no limit of time", resting, "c.counted.arm(c.until) == nil", "c.counted.arm(time.Time{}) == nil"},
		mutation{"connections at rest are not counted", listening, "l.s.conns.Add(1) > int64(l.s.limits.Connections)", "l.s.conns.Add(1)-int64(l.s.idle.count()) > int64(l.s.limits.Connections)"},
		mutation{"an earlier deadline cuts a read", deadlines, "c.timer.Equal(c.until) || ", "true || "},
	)
}

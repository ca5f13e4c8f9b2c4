package mutation

const (
	derivation = "crypto/kdf/kdf.go"
	opening64  = "proxy/opener.go"
	buffers    = "proxy/budget/buffers.go"
	resting    = "proxy/conn/rest.go"
	listening  = "proxy/conn/listen.go"
	deadlines  = "proxy/conn/conn.go"
	clientEnds = "proxy/conn/set.go"
)

func init() {
	filters[opening64] = "LeaveNoPlaintext"
	filters[drainage], filters[serving] = "Drain|Shutdown|TurnedAway", "Drain|Balancers"
	mutations = append(mutations,
		mutation{"label outside the derived key", derivation, "append(append(room[:0], info...), 1)", "append(room[:0], 1)"},
		mutation{"salt outside the derived key", derivation, "mac(prk, salt, secret)", "mac(prk, nil, secret)"},
		mutation{"plaintext stays in free buffers", buffers, "	clear(buf.Plain[:buf.fill])\n", ""},
		mutation{"a read forgets what it has filled", opening64, "	b.most = max(b.most, len(plain))\n", ""},
		mutation{"connections at rest outlive the shutdown", resting, "		_ = c.rests().counted.Conn.SetReadDeadline(past)\n", "		_ = c\n"},
		mutation{"connections may rest after the shutdown", resting, "	if r.over {\n", "	if r.conns == nil {\n"},
		mutation{"connections at rest have no limit of time", resting, "	return c.counted.arm(c.until)\n", "	return c.counted.arm(time.Time{})\n"},
		mutation{"connections at rest are not counted", listening, "l.set.open.Add(1) > int64(l.set.opts.Max)", "l.set.open.Add(1)-int64(l.set.Resting()) > int64(l.set.opts.Max)"},
		mutation{"accepting ends for want of files", listening, "err != nil && passes(err)", "err != nil && false && passes(err)"},
		mutation{"a client of TLS gets an answer without", listening, "	if l.tls != nil || c.Set", "	if c.Set"},
		mutation{"an earlier deadline cuts a read", deadlines, "c.timer.Equal(c.until) || ", "true || "},
	)
}

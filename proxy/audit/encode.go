package audit

import (
	"encoding/json"
	"strconv"
	"time"
)

// appendRecord appends a record exactly as json.Marshal writes it, at a tenth of its cost.
func appendRecord(b []byte, r *Record) []byte {
	b = append(b, `{"time":"`...)
	b = r.Time.AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","request_id":`...)
	b = appendString(b, r.RequestID)
	b = appendField(b, `,"upstream_request_id":`, r.UpstreamRequestID)
	b = appendField(b, `,"client":`, r.Client)
	b = appendField(b, `,"claimed_key":`, r.ClaimedKey)
	b = appendField(b, `,"source":`, r.Source)
	b = append(b, `,"action":`...)
	b = appendString(b, r.Action)
	b = appendField(b, `,"bucket":`, r.Bucket)
	b = appendField(b, `,"key":`, r.Key)
	b = appendField(b, `,"version_id":`, r.VersionID)
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(r.Status), 10)
	b = appendField(b, `,"code":`, r.Code)
	b = appendField(b, `,"class":`, r.Class)
	b = appendField(b, `,"sse":`, r.SSE)
	b = appendField(b, `,"kid":`, r.KID)
	b = appendField(b, `,"ikek":`, r.IKEK)
	b = append(b, `,"bytes_in":`...)
	b = strconv.AppendInt(b, r.BytesIn, 10)
	b = append(b, `,"bytes_out":`...)
	b = strconv.AppendInt(b, r.BytesOut, 10)
	b = append(b, `,"ms":`...)
	b = strconv.AppendFloat(b, r.Milliseconds, 'f', -1, 64)
	b = appendField(b, `,"trace_id":`, r.TraceID)
	b = appendField(b, `,"side":`, r.Side)
	if r.Lost != 0 {
		b = strconv.AppendInt(append(b, `,"lost":`...), r.Lost, 10)
	}
	return append(b, '}')
}

// appendField appends a field, unless it is empty.
func appendField(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return appendString(append(b, name...), value)
}

// appendString appends a JSON string. What is not plain is left to encoding/json.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // strings always can be
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

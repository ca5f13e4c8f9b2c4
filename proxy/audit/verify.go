package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// ErrChain reports a log whose lines were changed, removed or put in another order.
var ErrChain = errors.New("audit: broken chain")

// Place is a line of a file; lines count from 1.
type Place struct {
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// String is file:line.
func (p Place) String() string {
	if p.File == "" {
		return fmt.Sprintf("line %d", p.Line)
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Break is the first place where a chain does not hold.
type Break struct {
	Place
	Reason string `json:"reason"`
}

// Error names place and reason.
func (b *Break) Error() string {
	if b.Line == 0 {
		return b.Reason
	}
	return fmt.Sprintf("%s: %s", b.Place, b.Reason)
}

// Is makes a Break an ErrChain.
func (b *Break) Is(target error) bool { return target == ErrChain }

// Verifier reads a log of one or more files in order, the oldest first. The zero value expects one chain from its beginning.
type Verifier struct {
	After  string // hash of the line before the first one, for a log whose older files are gone
	Chains bool   // accepts more chains that begin on the way: restarts of a log without memory, several processes
	Syslog bool   // lines carry a header before the record; lines without a record belong to others

	report Report
	heads  []string // hashes that a line may follow, the latest last
	begun  bool
	torn   []Place // lines that are not whole, until it is known what follows
	seen   map[string]bool
}

// Report is what was found.
type Report struct {
	Lines  int       `json:"lines"`
	Chains int       `json:"chains"`
	Last   []string  `json:"last"`            // hash of the last line of every chain: what to keep elsewhere
	From   time.Time `json:"from,omitzero"`   // of the first line
	To     time.Time `json:"to,omitzero"`     // of the last line
	Torn   []Place   `json:"torn,omitempty"`  // lines that were never finished: a crash, a full disk
	Lost   int64     `json:"lost,omitempty"`  // lines that the log says it could not write
	Break  *Break    `json:"break,omitempty"` // set by Read
}

// maxLine is more than any line: a key of 1,024 bytes takes 6 KiB in JSON.
const maxLine = 1 << 20

// Expect has Finish fail unless a line with this hash, kept elsewhere, is in the log.
func (v *Verifier) Expect(hash string) {
	if v.seen == nil {
		v.seen = map[string]bool{}
	}
	v.seen[hash] = false
}

// Read takes the next file. A *Break ends the verification; other errors are those of r.
func (v *Verifier) Read(name string, r io.Reader) error {
	if !v.begun {
		v.begun = true
		v.heads = []string{v.After}
	}
	in := bufio.NewReaderSize(r, 64<<10)
	for at := (Place{name, 1}); ; at.Line++ {
		line, err := readLine(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("audit: %s: %w", at, err)
		}
		if err := v.line(at, line); err != nil {
			return err
		}
	}
}

// Finish returns what was found after the last file, and a *Break where an expected hash is missing.
func (v *Verifier) Finish() (*Report, error) {
	v.report.Torn = append(v.report.Torn, v.torn...)
	v.torn = nil
	v.report.Last = slices.Clone(v.heads)
	if len(v.report.Last) == 1 && v.report.Last[0] == "" {
		v.report.Last = []string{}
	}
	v.report.Chains = len(v.report.Last)
	var err error
	for hash, found := range v.seen {
		if !found {
			b := &Break{Reason: "no line has the expected hash " + hash + ": lines were removed at the end, or this is another log"}
			v.report.Break, err = b, b
		}
	}
	return &v.report, err
}

func (v *Verifier) line(at Place, line []byte) error {
	if v.Syslog {
		i := bytes.Index(line, []byte(firstField))
		if i < 0 {
			return nil
		}
		line = line[i:]
	}
	c, err := checkLine(line)
	if err != nil {
		if torn(line) {
			v.torn = append(v.torn, at) // what follows decides: the next line has the hash of the one before
			return nil
		}
		return v.broken(at, err.Error())
	}
	return v.follow(at, c)
}

// follow puts a line behind the one it names.
func (v *Verifier) follow(at Place, c *chained) error {
	i := slices.Index(v.heads, c.Prev)
	switch {
	case i < 0 && v.Chains && c.Prev == "":
		v.heads = append(v.heads, c.Hash)
	case i >= 0:
		v.heads = append(slices.Delete(v.heads, i, i+1), c.Hash)
	case len(v.torn) > 0:
		return v.broken(v.torn[0], "not a whole line, and the next one does not follow the one before it")
	case c.Prev == "":
		return v.broken(at, "a chain begins here: the log was started without the end of the old one, or lines before this one were removed")
	case v.report.Lines == 0:
		return v.broken(at, "follows a line with the hash "+c.Prev+", which is not here: older files are missing")
	default:
		return v.broken(at, "does not follow the line before it: lines were removed, added or moved")
	}
	v.report.Torn = append(v.report.Torn, v.torn...)
	v.torn = nil
	if v.report.Lines++; v.report.From.IsZero() {
		v.report.From = c.Time
	}
	v.report.To = c.Time
	v.report.Lost += c.Lost
	if _, wanted := v.seen[c.Hash]; wanted {
		v.seen[c.Hash] = true
	}
	return nil
}

func (v *Verifier) broken(at Place, reason string) error {
	v.report.Break = &Break{Place: at, Reason: reason}
	return v.report.Break
}

// readLine returns a line without its line break, which the last one may lack. It is valid until the next call.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		long := bytes.Clone(line)
		for errors.Is(err, bufio.ErrBufferFull) && len(long) <= maxLine {
			line, err = in.ReadSlice('\n')
			long = append(long, line...)
		}
		line = long
	}
	switch {
	case len(line) > maxLine:
		return nil, errors.New("line too long")
	case err == nil || errors.Is(err, io.EOF) && len(line) > 0:
		return bytes.TrimSuffix(line, []byte("\n")), nil
	}
	return nil, err
}

// Verify reads a chained log from its first line. It returns the number of lines and the hash of the last one, by which
// the removal of lines at the end can be noticed.
func Verify(r io.Reader) (lines int, last string, err error) { return VerifyFrom(r, "") }

// VerifyFrom is Verify for a log that continues another, as after a rotation: prev is the hash of the last line there.
func VerifyFrom(r io.Reader, prev string) (lines int, last string, err error) {
	v := Verifier{After: prev}
	if err = v.Read("", r); err != nil {
		return v.report.Lines, v.heads[0], err
	}
	report, err := v.Finish()
	return report.Lines, v.heads[0], err
}

// chained is a line as it is read.
type chained struct {
	Record
	Prev string `json:"prev"`
	Hash string `json:"hash"`
}

// firstField begins every line.
const firstField = `{"time":"`

// torn reports whether bytes can be the beginning of a line and are not the whole of one.
func torn(line []byte) bool {
	n := min(len(line), len(firstField))
	return n > 0 && string(line[:n]) == firstField[:n] && !json.Valid(line)
}

func checkLine(line []byte) (*chained, error) {
	var c chained
	if err := json.Unmarshal(line, &c); err != nil {
		return nil, errors.New("not a JSON object")
	}
	at := bytes.LastIndex(line, []byte(hashField))
	if at < 0 || string(line[at:]) != hashField+c.Hash+`"}` {
		return nil, errors.New("no hash at its end")
	}
	sum := sha256.Sum256(append(bytes.Clone(line[:at]), '}'))
	if hex.EncodeToString(sum[:]) != c.Hash {
		return nil, errors.New("changed: its hash differs")
	}
	return &c, nil
}

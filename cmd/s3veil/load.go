package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"s3veil/crypto/kms"
)

// sources are the layers of a configuration: defaults < File < Env < Flags.
type sources struct {
	File  string            // may be empty: defaults and environment alone
	Env   []string          // as os.Environ
	Flags map[string]string // paths to values

	// Elsewhere says that the configuration is for a process on another machine: files with secrets are not looked at, and
	// secrets that stand as values are mistakes, because the configuration is on its way through many hands.
	Elsewhere bool
}

// loaded is a configuration and what is known about its origin.
type loaded struct {
	Config
	pos   map[string]position // of every setting made, by path
	root  position            // for what was left out
	files sightings           // of the files read, by absolute name, to be watched
	bad   mistakes

	ends map[string]time.Time // when the certificates that it names end, by the setting

	clientSigns map[string]bool // paths of credentials that are the word "client"
	open        string          // why others can read the secrets in the file; empty where they cannot, or there are none

	broken bool // the file could not be taken in, so that nothing can be said about what is missing
}

// loader fills a Config from YAML nodes, so that every mistake carries its line.
type loader struct {
	*loaded
	layer  int
	name   string
	base   string // folder that relative paths start from
	secret bool   // a secret stands in the file as a value

	elsewhere bool // sources.Elsewhere
}

// load reads all layers. Its mistakes are in the result, since the rules of validate add theirs.
func load(src sources) *loaded {
	out := &loaded{pos: map[string]position{}, root: position{layer: layerEnv, name: "environment"}}
	l := &loader{loaded: out, elsewhere: src.Elsewhere}
	l.defaults(reflect.ValueOf(&out.Config).Elem())
	if src.File != "" {
		l.file(src.File)
	}
	l.environment(src.Env)
	l.flags(src.Flags)
	return out
}

func (l *loader) file(name string) {
	l.layer, l.name = layerFile, name
	l.root = position{layer: layerFile, name: name, line: 1}
	abs, err := filepath.Abs(name)
	if err != nil {
		abs = name
	}
	l.base = filepath.Dir(abs)
	l.files.add(abs)
	text, err := os.ReadFile(abs)
	if err != nil {
		l.fail(position{layer: layerFile, name: name}, "", "%s", plain(err))
		l.broken = true
		return
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return
	} else if err != nil {
		l.syntax(err)
		return
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		l.fail(l.at(&more), "", "more than one YAML document")
		l.broken = true
		return
	}
	root := doc.Content[0]
	l.value(root, l.at(root), reflect.ValueOf(&l.Config).Elem(), "")
	if info, err := os.Stat(abs); err == nil && l.secret {
		if err := kms.CheckSecretFile(abs, info); err != nil {
			l.open = err.Error()
		}
	}
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): (.*)$`)

// countsFromZero matches the messages whose line the parser counts from 0; the scanner's count from 1.
var countsFromZero = regexp.MustCompile(`^did not find expected (',' or|key|'-' indicator|node content|<)`)

// syntax reports an error of the YAML parser, which has its line only in its text.
func (l *loader) syntax(err error) {
	at, message := position{layer: layerFile, name: l.name, line: 1}, err.Error()
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		at.line, _ = strconv.Atoi(m[1])
		message = m[2]
		if countsFromZero.MatchString(message) {
			at.line++
		}
	}
	l.broken = true
	l.fail(at, "", "not YAML: %s", message)
}

// plain is the reason of a file system error without the name, which the position says already.
func plain(err error) string {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

func (l *loader) at(n *yaml.Node) position {
	return position{layer: l.layer, name: l.name, line: n.Line}
}

func (l *loaded) fail(at position, path, format string, args ...any) {
	l.bad = append(l.bad, mistake{at: at, path: path, message: fmt.Sprintf(format, args...)})
}

// nodeReader is implemented by settings that look at their node before it is taken apart. It reports whether that is done.
type nodeReader interface {
	readNode(l *loader, n *yaml.Node, at position, path string) (done bool)
}

// value stores a node in v. at is the line of its key.
func (l *loader) value(n *yaml.Node, at position, v reflect.Value, path string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return // as if left out
	}
	if path != "" {
		l.pos[path] = at
	}
	if r, ok := v.Addr().Interface().(nodeReader); ok && r.readNode(l, n, at, path) {
		return
	}
	switch {
	case isScalar(v.Type()):
		if n.Kind != yaml.ScalarNode {
			l.fail(at, path, "must be a single value")
			return
		}
		if err := l.scalar(n.Value, v); err != nil {
			l.fail(at, path, "%s", err)
		}
		l.secret = l.secret || v.Type() == secretType && l.layer == layerFile
		if l.elsewhere && v.Type() == secretType {
			l.fail(at, path, "is a secret and must come from a file (%s_file)", path[strings.LastIndex(path, ".")+1:])
		}
	case v.Kind() == reflect.Slice:
		l.list(n, at, v, path)
	default:
		l.mapping(n, at, v, path)
	}
}

func (l *loader) list(n *yaml.Node, at position, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		l.fail(at, path, "must be a list")
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		e, p := out.Index(i), fmt.Sprintf("%s[%d]", path, i)
		l.defaults(e)
		if item.Kind == yaml.ScalarNode && item.ShortTag() == "!!null" {
			l.fail(l.at(item), p, "must not be empty")
			continue
		}
		l.value(item, l.at(item), e, p)
	}
	v.Set(out)
}

func (l *loader) mapping(n *yaml.Node, at position, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		l.fail(at, path, "must hold keys of its own (%s)", fieldNames(v.Type()))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		here, p := l.at(key), join(path, key.Value)
		if first, twice := seen[key.Value]; twice {
			l.fail(here, p, "set twice, first in line %d", first)
			continue
		}
		seen[key.Value] = key.Line
		l.key(key.Value, val, here, v, path, seen)
	}
}

// key stores the value of one key of a mapping; seen are the keys before it.
func (l *loader) key(name string, val *yaml.Node, here position, v reflect.Value, path string, seen map[string]int) {
	p := join(path, name)
	if f, ok := fieldByKey(v, name); ok {
		if _, both := seen[name+"_file"]; both && f.Type() == secretType {
			l.fail(here, p, "set both as value and as file")
			return
		}
		l.value(val, here, f, p)
		return
	}
	if f, base, ok := secretFile(v, name); ok {
		if _, both := seen[base]; both {
			l.fail(here, p, "set both as value and as file")
			return
		}
		l.secretFrom(val, here, f, p, join(path, base))
		return
	}
	l.fail(here, p, "unknown key")
}

// secretFrom reads a secret out of the file that a <key>_file names.
func (l *loader) secretFrom(n *yaml.Node, at position, v reflect.Value, path, base string) {
	if n.Kind != yaml.ScalarNode || n.Value == "" {
		l.fail(at, path, "must be the name of a file")
		return
	}
	l.pos[path], l.pos[base] = at, at
	name := l.absolute(n.Value)
	l.files.add(name)
	if l.elsewhere {
		v.Set(reflect.ValueOf(Secret(redacted)))
		return
	}
	s, err := readSecret(name)
	if err != nil {
		l.fail(at, path, "%s", err)
		s = redacted // so that no rule reports the secret as missing too
	}
	v.Set(reflect.ValueOf(s))
}

func (l *loader) absolute(name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	base, err := filepath.Abs(l.base)
	if err != nil {
		return name
	}
	return filepath.Join(base, name)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

package main

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

var (
	secretType = reflect.TypeFor[Secret]()
	pathType   = reflect.TypeFor[Path]()
	textType   = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// isScalar reports whether a type is one value in YAML.
func isScalar(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(textType) {
		return true
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64:
		return true
	}
	return false
}

// scalar parses text into v, whose type isScalar.
func (l *loader) scalar(text string, v reflect.Value) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.Bool:
		switch text {
		case "true", "false":
			v.SetBool(text == "true")
		default:
			return fmt.Errorf("%q is neither true nor false", text)
		}
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		v.SetInt(n)
	default:
		switch {
		case v.Type() == secretType && text == "":
			return errors.New("must not be empty")
		case v.Type() == pathType && text != "":
			text = l.absolute(text)
		}
		v.SetString(text)
	}
	return nil
}

// defaults fills v and the structs inside it from their default tags.
func (l *loader) defaults(v reflect.Value) {
	if v.Kind() != reflect.Struct || isScalar(v.Type()) {
		return
	}
	for i := range v.NumField() {
		f := v.Field(i)
		if text, ok := v.Type().Field(i).Tag.Lookup("default"); ok {
			if err := l.scalar(text, f); err != nil {
				panic(v.Type().Field(i).Name + ": " + err.Error())
			}
			continue
		}
		l.defaults(f)
	}
}

// yamlKey is the key of a field, and whether its own keys stand in its parent's mapping.
func yamlKey(f reflect.StructField) (key string, inline bool) {
	tag := f.Tag.Get("yaml")
	return tag, tag == ",inline"
}

// fieldByKey finds the field of a key, inlined structs included.
func fieldByKey(v reflect.Value, key string) (reflect.Value, bool) {
	for i := range v.NumField() {
		name, inline := yamlKey(v.Type().Field(i))
		if inline {
			if f, ok := fieldByKey(v.Field(i), key); ok {
				return f, true
			}
		} else if name == key {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// secretFile finds the Secret that a key <name>_file stands for.
func secretFile(v reflect.Value, key string) (f reflect.Value, base string, ok bool) {
	base, ok = strings.CutSuffix(key, "_file")
	if !ok {
		return f, "", false
	}
	f, ok = fieldByKey(v, base)
	return f, base, ok && f.Type() == secretType
}

// fieldNames lists the keys of a struct for messages.
func fieldNames(t reflect.Type) string {
	var names []string
	for i := range t.NumField() {
		name, inline := yamlKey(t.Field(i))
		if inline {
			name = fieldNames(t.Field(i).Type)
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// leaf is a setting that the environment can make: a single value, or a list as a whole.
type leaf struct {
	path  string
	field reflect.Value
}

// variable is its name in the environment.
func (f leaf) variable() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(f.path, ".", "_"))
}

// leavesOf lists the settings of a configuration.
func leavesOf(c *Config) []leaf { return leaves(reflect.ValueOf(c).Elem(), "") }

// leaves lists the settings below v in the order of the struct.
func leaves(v reflect.Value, path string) []leaf {
	var out []leaf
	for i := range v.NumField() {
		f := v.Field(i)
		name, inline := yamlKey(v.Type().Field(i))
		p := join(path, name)
		if inline {
			p = path
		}
		switch {
		case f.Kind() == reflect.Slice || isScalar(f.Type()):
			out = append(out, leaf{path: p, field: f})
		default:
			out = append(out, leaves(f, p)...)
		}
	}
	return out
}

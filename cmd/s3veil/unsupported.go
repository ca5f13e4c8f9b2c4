package main

import "go.yaml.in/yaml/v3"

// notHere is the message for settings whose feature this build does not have: a setting that does nothing would be worse.
const notHere = "not supported by this build"

// readNode accepts only what leaves the feature off.
func (*Absent) readNode(l *loader, n *yaml.Node, at position, path string) bool {
	off := n.Kind == yaml.ScalarNode && (n.Value == "off" || n.Value == "false" || n.Value == "") ||
		n.Kind != yaml.ScalarNode && len(n.Content) == 0
	if !off {
		l.fail(at, path, notHere)
	}
	return true
}

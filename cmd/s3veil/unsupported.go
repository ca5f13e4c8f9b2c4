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

// absentProvider reports whether other builds know a key provider.
func absentProvider(name string) bool {
	switch name {
	case "awskms", "transit", "gcpkms", "azurekv", "pkcs11":
		_, here := keyProviders[name]
		return !here
	}
	return false
}

// readNode refuses the providers of other builds as a whole, since their further keys are unknown here.
func (k *KMSKey) readNode(l *loader, n *yaml.Node, _ position, path string) bool {
	if n.Kind != yaml.MappingNode {
		return false
	}
	id, absent := "", false
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		switch {
		case key.Value == "id":
			id = val.Value
		case key.Value == "provider" && absentProvider(val.Value):
			l.fail(l.at(key), path+".provider", "%s: %s", val.Value, notHere)
			k.Provider, absent = val.Value, true
		}
	}
	if absent {
		k.ID = id
	}
	return absent
}

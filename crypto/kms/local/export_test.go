package local

import "s3veil/crypto/kms"

// NonZero returns how many keys are in memory.
func (f *File) NonZero() (n int) {
	for _, e := range f.provider.entries {
		if e.key != (kms.Key32{}) {
			n++
		}
	}
	return n
}

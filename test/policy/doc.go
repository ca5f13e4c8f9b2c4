// Package policy holds the rules of this repository as tests: which package may import which, how long files and functions
// may be, what comments may cite, which licences the program may link, and that every threat has its test.
package policy

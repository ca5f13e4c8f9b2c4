// Package docs tests the operator's manual: links of every page, the configurations and units it shows, and, behind the build
// tag integration, its commands, run in the order of the page in front of a real store. docs/INSTALL.md section 4 explains the
// marks of blocks.
package docs

// Package monitoring tests the dashboard, the alert rules and the runbooks against the program that they are about.
package monitoring

package calendar

import "strings"

// Days is days of the week, Monday first; written like mon-fri or mon,wed.
type Days []string

// UnmarshalText reads what ParseDays reads.
func (d *Days) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDays(string(b))
	return err
}

// MarshalText writes the days one by one: "mon,tue".
func (d Days) MarshalText() ([]byte, error) { return []byte(strings.Join(d, ",")), nil }

// A Clock is a time of day, HH:MM.
type Clock string

// UnmarshalText takes what ParseClock reads.
func (c *Clock) UnmarshalText(b []byte) error {
	*c = Clock(b)
	_, err := ParseClock(string(b))
	return err
}

// A ZoneName is the IANA name of a time zone.
type ZoneName string

// UnmarshalText takes what Zone knows.
func (z *ZoneName) UnmarshalText(b []byte) error {
	*z = ZoneName(b)
	_, err := Zone(string(b))
	return err
}

// UnmarshalText reads what ParseInterval reads.
func (i *Interval) UnmarshalText(b []byte) (err error) {
	*i, err = ParseInterval(string(b))
	return err
}

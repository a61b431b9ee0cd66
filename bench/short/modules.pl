# SPDX-License-Identifier: MIT
use strict; use warnings;
use POSIX; use Data::Dumper; use Encode; use File::Temp; use Getopt::Long;
use IO::File; use List::Util qw(sum); use Storable; use Text::Wrap; use Time::Local;
print sum(1 .. 10), "\n";

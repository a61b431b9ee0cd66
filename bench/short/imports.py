# SPDX-License-Identifier: MIT
import argparse, collections, datetime, hashlib, json, logging
import os, random, re, subprocess, tempfile, threading
print(len(dir()))

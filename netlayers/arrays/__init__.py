"""A user's data as arrays: conversion, checks, sparse matrices, frames, other libraries."""

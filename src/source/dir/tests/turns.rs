//! Links that are turned, directories that come, go and are replaced, seen through the listings.

use std::fs;
use std::os::unix::fs::symlink;

use super::{Stage, names, text};
use crate::source::Problem;

#[tokio::test]
async fn a_link_that_is_turned_shows_what_it_leads_to() {
    let mut stage = Stage::new(|top, root| {
        fs::create_dir(top.join("out")).unwrap();
        fs::write(top.join("out/one"), "one").unwrap();
        fs::write(top.join("out/two"), "two").unwrap();
        symlink(top.join("out/one"), root.join("a.yaml")).unwrap();
    })
    .await;
    assert_eq!(text(&stage.last, "a.yaml"), Some("one"));
    symlink(stage.top.join("out/two"), stage.root.join(".a")).unwrap();
    fs::rename(stage.root.join(".a"), stage.root.join("a.yaml")).unwrap();
    stage.shows("a.yaml", "one", "two").await;
    assert_eq!(stage.last.files["a.yaml"].path, stage.root.join("a.yaml"));
    fs::write(stage.top.join("out/two"), "two and more").unwrap();
    stage.shows("a.yaml", "two", "two and more").await;
    fs::remove_file(stage.top.join("out/two")).unwrap();
    stage.until(|listing| listing.files["a.yaml"].bytes.is_err()).await;
    fs::write(stage.top.join("out/two"), "back").unwrap();
    stage.until(|listing| text(listing, "a.yaml") == Some("back")).await;
}

#[tokio::test]
async fn a_directory_that_is_a_link_is_followed_when_it_is_turned() {
    let mut stage = Stage::new(|top, root| {
        for rev in ["rev1", "rev2"] {
            fs::create_dir_all(top.join(rev).join("sub")).unwrap();
            fs::write(top.join(rev).join("a.yaml"), rev).unwrap();
            fs::write(top.join(rev).join("sub/b.yaml"), rev).unwrap();
        }
        fs::remove_dir(root).unwrap();
        symlink("rev1", top.join("current")).unwrap();
        symlink("current", root).unwrap();
    })
    .await;
    assert_eq!(text(&stage.last, "a.yaml"), Some("rev1"));
    symlink("rev2", stage.top.join("next")).unwrap();
    fs::rename(stage.top.join("next"), stage.top.join("current")).unwrap();
    for listing in stage.until(|listing| text(listing, "a.yaml") == Some("rev2")).await {
        assert_eq!(text(&listing, "a.yaml"), text(&listing, "sub/b.yaml"), "two revisions in one listing");
    }
    fs::write(stage.top.join("rev2/a.yaml"), "rev2, edited").unwrap();
    stage.shows("a.yaml", "rev2", "rev2, edited").await;
}

#[tokio::test]
async fn a_config_map_is_followed_through_its_hidden_link() {
    let mut stage = Stage::new(|_, root| {
        fs::create_dir(root.join("..1")).unwrap();
        fs::write(root.join("..1/a.yaml"), "one").unwrap();
        symlink("..1", root.join("..data")).unwrap();
        symlink("..data/a.yaml", root.join("a.yaml")).unwrap();
    })
    .await;
    assert_eq!((names(&stage.last), text(&stage.last, "a.yaml")), (vec!["a.yaml"], Some("one")));
    let root = stage.root.clone();
    fs::create_dir(root.join("..2")).unwrap();
    fs::write(root.join("..2/a.yaml"), "two").unwrap();
    fs::write(root.join("..2/b.yaml"), "two").unwrap();
    symlink("..2", root.join("..data_tmp")).unwrap();
    fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    symlink("..data/b.yaml", root.join("b.yaml")).unwrap();
    fs::remove_dir_all(root.join("..1")).unwrap();
    stage.shows("a.yaml", "one", "two").await;
    if !stage.last.files.contains_key("b.yaml") {
        stage.until(|listing| text(listing, "b.yaml") == Some("two")).await;
    }
}

#[tokio::test]
async fn a_subdirectory_is_watched_from_its_first_moment() {
    let mut stage = Stage::new(|_, _| {}).await;
    for round in 0..10 {
        let dir = stage.root.join(format!("sub{round}/deeper"));
        let name = format!("sub{round}/deeper/a.yaml");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("a.yaml"), "one").unwrap();
        stage.until(|listing| text(listing, &name) == Some("one")).await;
        fs::write(dir.join("a.yaml"), "two").unwrap();
        stage.shows(&name, "one", "two").await;
        fs::remove_dir_all(stage.root.join(format!("sub{round}"))).unwrap();
        stage.until(|listing| listing.lacks(&name)).await;
    }
}

#[tokio::test]
async fn a_subdirectory_that_is_moved_away_and_back_is_still_watched() {
    let mut stage = Stage::new(|_, root| {
        fs::create_dir(root.join("sub")).unwrap();
        fs::write(root.join("sub/a.yaml"), "one").unwrap();
    })
    .await;
    fs::rename(stage.root.join("sub"), stage.root.join("other")).unwrap();
    stage.until(|listing| names(listing) == ["other/a.yaml"]).await;
    fs::rename(stage.root.join("other"), stage.root.join("sub")).unwrap();
    stage.until(|listing| names(listing) == ["sub/a.yaml"]).await;
    fs::write(stage.root.join("sub/a.yaml"), "two").unwrap();
    stage.shows("sub/a.yaml", "one", "two").await;
}

#[tokio::test]
async fn a_directory_that_is_replaced_is_watched_on() {
    let mut stage = Stage::new(|_, root| fs::write(root.join("a.yaml"), "one").unwrap()).await;
    for (before, after) in [("one", "two"), ("two", "three")] {
        fs::remove_dir_all(&stage.root).unwrap();
        fs::create_dir(&stage.root).unwrap();
        fs::write(stage.root.join("a.yaml"), after).unwrap();
        stage.shows("a.yaml", before, after).await;
    }
    assert_eq!(stage.last.problem, None);
}

#[tokio::test]
async fn a_directory_that_is_away_is_a_problem_and_no_deletion() {
    let mut stage = Stage::new(|_, root| fs::write(root.join("a.yaml"), "one").unwrap()).await;
    fs::rename(&stage.root, stage.top.join("away")).unwrap();
    stage.until(|listing| listing.problem == Some(Problem::Missing(listing.files["a.yaml"].path.parent().unwrap().into()))).await;
    assert!(!stage.last.lacks("a.yaml") && !stage.last.lacks("b.yaml"));
    fs::rename(stage.top.join("away"), &stage.root).unwrap();
    stage.until(|listing| listing.problem.is_none()).await;
    fs::write(stage.root.join("a.yaml"), "two").unwrap();
    stage.shows("a.yaml", "one", "two").await;
}

#[tokio::test]
async fn a_directory_that_is_made_after_the_start_is_found() {
    let mut stage = Stage::new(|_, root| fs::remove_dir(root).unwrap()).await;
    assert!(matches!(stage.last.problem, Some(Problem::Missing(_))) && stage.last.files.is_empty());
    fs::write(&stage.root, "").unwrap();
    stage.until(|listing| matches!(&listing.problem, Some(Problem::Unreadable(_, why)) if why.contains("Not a directory"))).await;
    fs::remove_file(&stage.root).unwrap();
    fs::create_dir(&stage.root).unwrap();
    fs::write(stage.root.join("a.yaml"), "one").unwrap();
    stage.until(|listing| listing.problem.is_none() && text(listing, "a.yaml") == Some("one")).await;
}
